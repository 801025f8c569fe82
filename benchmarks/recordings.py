"""Are a camera's recordings what they should be?"""

from pathlib import Path

import av
import orjson

from streamcam.files import PART


def videos(folder: Path) -> list[Path]:
    """Return the published videos of all cameras in a folder."""
    return sorted(folder.rglob("*.mp4"))


def records(folder: Path) -> list[Path]:
    """Return the published records of all cameras in a folder."""
    return sorted(folder.rglob("*.jsonl"))


def unfinished(folder: Path) -> list[Path]:
    """Return what has not got its name yet."""
    return sorted(folder.rglob("*" + PART))


def lines(path: Path) -> int:
    """Return how many records a file has; each of them must be one.

    Raises:
        ValueError: One of them is none.
    """
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        raise ValueError(f"{path}: ends in the middle of a record")
    return sum(1 for each in text.splitlines() if orjson.loads(each)["cam"])


def pictures(path: Path) -> int:
    """Decode a video and return how many pictures it has.

    Raises:
        av.FFmpegError: It does not play.
    """
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def faults(folder: Path) -> list[str]:
    """Return the faults: videos that do not play, or do not match their records."""
    found = []
    for video in videos(folder):
        try:
            shown, recorded = pictures(video), lines(video.with_suffix(".jsonl"))
        except (OSError, ValueError, av.FFmpegError) as error:
            found.append(f"{video.relative_to(folder)}: {error}")
            continue
        if shown != recorded:
            found.append(f"{video.relative_to(folder)}: {shown} pictures, {recorded} records")
    return found
