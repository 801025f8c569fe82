"""Clips with sound made on the spot, and what can be read back from one."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE = 25
SOUND_RATE = 48000
SIZE = (64, 48)


def flash_and_beep(
    path: Path,
    *,
    codec: str,
    at: float,
    seconds: float = 3.0,
    start: float = 0.0,
    video_codec: str = "libx264",
) -> Path:
    """Write a dark, silent clip with a white frame and a beep at the same moment.

    Args:
        path: Its ending names the container.
        codec: Of the sound.
        at: When, in seconds from the clip's beginning; a whole frame.
        seconds: How long the clip is.
        start: When the clip begins on its own clock.
        video_codec: Of the pictures.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=RATE)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=SOUND_RATE)
        sound.codec_context.layout = "stereo"
        for frame in _pictures(at, seconds, start):
            container.mux(video.encode(frame))
        for frame in _samples(at, seconds, start):
            container.mux(sound.encode(frame))
        container.mux(video.encode())
        container.mux(sound.encode())
    return path


def _pictures(at: float, seconds: float, start: float) -> list[av.VideoFrame]:
    frames = []
    for index in range(round(seconds * RATE)):
        level = 235 if index == round(at * RATE) else 20
        frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), level, np.uint8))
        frame.pts, frame.time_base = index + round(start * RATE), Fraction(1, RATE)
        frames.append(frame)
    return frames


def _samples(at: float, seconds: float, start: float) -> list[av.AudioFrame]:
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    beep = np.where((time >= at) & (time < at + 0.1), np.sin(2 * np.pi * 1000 * time), 0)
    wave = np.repeat((beep * 0.5).astype(np.float32)[None], 2, axis=0)
    frames = []
    for begin in range(0, wave.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave[:, begin : begin + 1024]), "fltp", "stereo"
        )
        frame.sample_rate = SOUND_RATE
        frame.pts = begin + round(start * SOUND_RATE)
        frame.time_base = Fraction(1, SOUND_RATE)
        frames.append(frame)
    return frames


@dataclass(frozen=True)
class Heard:
    """What is to be heard in a clip: the codec, from when to when, and when it gets loud."""

    codec: str
    begin: float
    end: float
    beep: float | None


def listen(path: Path) -> Heard:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        begins, ends, beep = [], [], None
        for frame in container.decode(stream):
            begin = float(frame.time)
            begins.append(begin)
            ends.append(begin + frame.samples / frame.sample_rate)
            loud = np.flatnonzero(np.abs(_mono(frame)) > 0.15)
            if beep is None and loud.size:
                beep = begin + loud[0] / frame.sample_rate
        return Heard(stream.codec_context.name, min(begins), max(ends), beep)


def _mono(frame: av.AudioFrame) -> npt.NDArray[np.float32]:
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    scale = 32768 if samples.dtype == np.int16 else 2**31 if samples.dtype == np.int32 else 1
    mono: npt.NDArray[np.float32] = samples.mean(axis=0) / np.float32(scale)
    return mono


def brightest(path: Path) -> float:
    """Return the time of a video's brightest frame, in seconds."""
    with av.open(str(path)) as container:
        frames = [(f.to_ndarray(format="gray").mean(), f.time) for f in container.decode(video=0)]
    return float(max(frames)[1])
