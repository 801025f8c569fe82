"""What libx264's presets cost on annotated videos, and what they leave of the pictures.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.encoding clip.mp4 --frames 120
    python -m benchmarks.encoding demo://street?seconds=20

For each setting: processor time a frame (conversion to YUV included), kilobytes a frame, and the
structural similarity of the decoded luma to the annotated picture's, mean and least (SSIM, Wang et
al. 2004, https://doi.org/10.1109/TIP.2003.819861). The settings take turns, and the least time of
all rounds counts, so that other load on the machine meets all of them.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamcam.bench.clip import make_clip
from streamcam.config import Settings
from streamcam.pipeline.engine_provider import build_engine
from streamcam.render import Annotator
from streamcam.sinks.encoder import PictureConverter, even
from streamcam.types import Frame, Picture

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "ultrafast": {"preset": "ultrafast"},
    "superfast": {"preset": "superfast"},
    "superfast, look-ahead 10 (files)": {
        "preset": "superfast",
        "x264-params": "mbtree=1:rc-lookahead=10",
    },
    "veryfast": {"preset": "veryfast"},
    "veryfast, zerolatency (cameras)": {"preset": "veryfast", "tune": "zerolatency"},
    "faster": {"preset": "faster"},
}

_RATE = 5
_COMMON = {"crf": "20", "bf": "0", "g": "250"}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(options.source, options.frames, Path(folder))
        pictures = annotated(clip.frames)
        times: dict[str, float] = {}
        for _ in range(options.rounds):
            for name in SETTINGS:
                seconds = encode(pictures, SETTINGS[name], options.threads, Path(folder) / name)
                times[name] = min(seconds, times.get(name, seconds))
        print(f"{'':34} ms/frame  kB/frame    SSIM   least")
        for name, seconds in times.items():
            path = Path(folder) / name
            similar = [ssim(p, q) for p, q in zip(pictures, decoded(path), strict=True)]
            print(
                f"{name:34} {seconds / len(pictures) * 1e3:8.2f}"
                f"  {path.stat().st_size / len(pictures) / 1e3:8.1f}"
                f"  {np.mean(similar):6.4f}  {min(similar):6.4f}"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", nargs="?", default="demo://street?seconds=12")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def annotated(frames: Sequence[Frame]) -> list[Picture]:
    """Frames with their heat and boxes, as `streamcam run` writes them."""
    annotator = Annotator()
    with build_engine(Settings()) as engine:
        batches = (frames[at : at + engine.batch] for at in range(0, len(frames), engine.batch))
        return [annotator.annotate(result) for batch in batches for result in engine.explain(batch)]


def encode(
    pictures: Sequence[Picture], options: Mapping[str, str], threads: int, path: Path
) -> float:
    """Write an MP4; returns the processor time in seconds, conversion to YUV included."""
    height, width = pictures[0].shape[:2]
    size = even(width), even(height)
    convert = PictureConverter(size)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={**_COMMON, **options})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = threads
        start = time.process_time()
        for index, picture in enumerate(pictures):
            frame = convert(picture)
            frame.pts, frame.time_base = index, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        return time.process_time() - start


def decoded(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        arrays = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return [array.astype(np.uint8, copy=False) for array in arrays]


def ssim(one: Picture, other: Picture) -> float:
    """Structural similarity of two pictures' luma, 1 for equal ones."""
    x, y = (_luma(picture) for picture in (one, other[: one.shape[0], : one.shape[1]]))
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float((numerator / denominator).mean())


def _luma(picture: Picture) -> npt.NDArray[np.float32]:
    return picture.astype(np.float32) @ _LUMA


def _blurred(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return cv2.GaussianBlur(values, (11, 11), 1.5).astype(np.float32, copy=False)


if __name__ == "__main__":
    main()
