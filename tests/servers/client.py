"""A plain client, nothing but PyAV, to see what the servers serve."""

from collections.abc import Generator

import av
import numpy as np

from streamcam.types import Picture

OVER_TCP = {"rtsp_transport": "tcp"}
QUICKLY = {"fpsprobesize": "0"}
"""Saves the second of video by which FFmpeg would guess the frame rate."""

PATIENCE = 10.0


def frames(url: str) -> Generator[av.VideoFrame, None, None]:
    with av.open(url, options=OVER_TCP | QUICKLY, timeout=PATIENCE) as container:
        yield from container.decode(video=0)


def first_frames(url: str, count: int) -> list[av.VideoFrame]:
    """Return the first frames; the stream is closed after them."""
    stream = frames(url)
    taken = [next(stream) for _ in range(count)]
    stream.close()
    return taken


def picture(frame: av.VideoFrame) -> Picture:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
