"""Media made on the spot with PyAV."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamcam.types import Picture

X264 = {"preset": "ultrafast", "crf": "5"}
"""Quick, and true enough for `number_of`."""


def flat(width: int, height: int, colour: Sequence[int]) -> Picture:
    """Return a picture of one RGB colour."""
    return np.full((height, width, 3), colour, np.uint8)


def numbered(count: int, width: int = 64, height: int = 48) -> list[Picture]:
    """Return grey pictures whose brightness tells their index; see `number_of`."""
    return [flat(width, height, [20 + 3 * (index % 70)] * 3) for index in range(count)]


def number_of(picture: Picture) -> int:
    """Return the index (0..69) of a picture made by `numbered`, after lossy coding too."""
    return round((float(picture.mean()) - 20) / 3)


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    *,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode pictures as a video.

    `pts` are in units of `time_base` (default 0, 1, ... / rate); `aspect` is that of a pixel.
    """
    with av.open(str(path), "w") as container:
        stream = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(
                    codec, rate=rate, options=X264 if options is None else options
                )
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pix_fmt
                if aspect is not None:
                    stream.sample_aspect_ratio = aspect
                if time_base is not None:
                    stream.codec_context.time_base = time_base
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index if pts is None else pts[index]
            frame.time_base = time_base or 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        assert stream is not None, "a video needs a picture"
        container.mux(stream.encode())
    return path


def textured(count: int) -> list[Picture]:
    """Return numbered pictures over a detailed background, which compress badly."""
    random = np.random.default_rng(1)
    ground = random.integers(0, 160, (6, 8, 3)).repeat(16, axis=0).repeat(16, axis=1)
    return [
        np.clip(ground + picture // 3, 0, 255).astype(np.uint8)
        for picture in numbered(count, 128, 96)
    ]
