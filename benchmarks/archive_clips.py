"""Archives to explain: many drawn clips, each with sound and of its own content."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from streamcam.demo.source import DemoSource

SIZE = (320, 180)
RATE = 25
SOUND_RATE = 44_100
_SCENES = 8
_SAMPLES = 1024
"""A packet of AAC."""


def draw_archive(folder: Path, clips: int, frames: int, long_frames: int = 0) -> list[Path]:
    """Write `clips` videos of `frames` frames, and one of `long_frames`; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [_clip(folder / f"clip{number:04}.mp4", number, frames) for number in range(clips)]
    if long_frames:
        made.append(_clip(folder / "long.mp4", clips, long_frames))
    return made


def _clip(path: Path, number: int, frames: int) -> Path:
    scene = DemoSource(f"demo://street?seed={1 + number % _SCENES}").scene
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for index in range(frames):
            # Another moment of the scene for each clip that shares it: no two have one content.
            picture = scene.picture((number // _SCENES) * 0.4 + index / RATE)
            small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(small, format="rgb24")
            frame.pts = index
            frame.time_base = Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        _tone(container, audio, frames / RATE, 220.0 + number)
    return path


def _tone(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    seconds: float,
    pitch: float,
) -> None:
    for start in range(0, int(seconds * SOUND_RATE), _SAMPLES):
        phase = np.arange(start, start + _SAMPLES) * (2 * np.pi * pitch / SOUND_RATE)
        samples = (0.2 * np.sin(phase)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = start
        frame.time_base = Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
