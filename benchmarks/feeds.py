"""Where a benchmark's cameras get their pictures: from memory, or from an RTSP server."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np

from benchmarks.camera_cost import Clip, encode
from benchmarks.replay import ReplayedSource
from streamcam.sources.live import Address
from streamcam.types import Picture
from tests.servers.rtsp import RtspServer

_CLIP_SECONDS = 10.0

# Maximum duration of a run before it is measured.
_LEAD_SECONDS = 90.0

# Of 1080p 150 MB: far more than a processor's caches hold.
_PICTURES = 24

# Multiples of it never meet: as cameras do that nobody has started at the same moment.
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Feed:
    """Where all cameras of a run are read from.

    Attributes:
        url: Of each of them.
        rate: Frames a second that each sends.
        server: Process id of what sends them, None where nothing does.
    """

    url: str
    rate: float
    server: int | None = None


@contextmanager
def replayed(folder: Path, options: argparse.Namespace) -> Iterator[Feed]:
    """Give every live source pictures that were decoded beforehand, while this lasts."""
    pictures, rate = _decoded(_clip(folder, options))
    period = 1 / min(options.max_fps, rate)

    def source(name: str, _: Address, **_others: object) -> ReplayedSource:
        return ReplayedSource(name, pictures, rate, delay=_GOLDEN * number_of(name) % 1 * period)

    # The cameras are the real ones, with all that they write, draw and count.
    with patch("streamcam.cameras.camera.LiveSource", source):
        yield Feed("replay:", float(rate))


@contextmanager
def sent(folder: Path, options: argparse.Namespace) -> Iterator[Feed]:
    """Send a clip to whoever asks, from its beginning, as long as a run may take."""
    clip, endless = _clip(folder, options), folder / "endless.mp4"
    rate = _repeat(clip, endless, options.seconds + _LEAD_SECONDS)
    with RtspServer({"cam": Clip(path=endless)}) as server:
        yield Feed(server.url(), float(rate), server.pid)


FEEDS = {"replay": replayed, "rtsp": sent}


def name_of(number: int) -> str:
    """Return the name of a camera."""
    return f"cam{number:03}"


def number_of(name: str) -> int:
    """Return which camera has a name."""
    return int(name.removeprefix("cam"))


def _clip(folder: Path, options: argparse.Namespace) -> Path:
    clip: Path = options.source or folder / "clip.mp4"
    if options.source is None:
        encode(clip, _CLIP_SECONDS, options)
    return clip


def _decoded(clip: Path) -> tuple[list[Picture], Fraction]:
    """Decode a clip's first pictures; also return its rate."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        frames = islice(container.decode(stream), _PICTURES)
        pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
        return pictures, _rate(stream)


def _repeat(clip: Path, target: Path, seconds: float) -> Fraction:
    """Write a clip repeatedly up to a duration; return its rate."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        assert stream.duration is not None
        assert stream.time_base is not None
        for repetition in range(math.ceil(seconds / (stream.duration * stream.time_base))):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue  # the end
                packet.pts += repetition * stream.duration
                packet.dts += repetition * stream.duration
                packet.stream = copy
                container.mux(packet)
        return _rate(stream)


def _rate(stream: av.VideoStream) -> Fraction:
    assert stream.average_rate is not None
    return stream.average_rate
