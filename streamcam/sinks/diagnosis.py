"""What a bug report needs to know of FFmpeg and its encoders."""

import av
from av.codec.hwaccel import hwdevices_available

from streamcam.sinks.encoder import nvenc_works


def facts() -> dict[str, str]:
    """Return the versions of FFmpeg's libraries, and which encoders and decoders can be used."""
    libraries = (
        f"{name} {_dotted(number)}" for name, number in sorted(av.library_versions.items())
    )
    return {
        "FFmpeg": ", ".join(libraries),
        "libx264": "works" if "libx264" in av.codecs_available else "missing",
        "h264_nvenc": "works" if nvenc_works() else "not usable here",
        "hardware decoding": ", ".join(hwdevices_available()) or "none",
    }


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
