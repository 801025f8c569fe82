"""Records of footage with faults put into it, for `benchmarks.drift`.

    python -m benchmarks.drift_footage --output footage --frames 300 --clip yard.mp4

Explains the drawn street, and clips where some are named, with nano at a frame a second: as it is,
and with each fault. Writes `<output>/<footage>/<condition>.jsonl` in the form of the schema
"record"; what is there already is kept.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file

from streamcam import Explainer
from streamcam.demo import DemoScene
from streamcam.pipeline.stream import Sampler
from streamcam.sinks.records import line
from streamcam.sources.inputs import open_source
from streamcam.types import Picture
from streamcam.vision.models.names import NANO_FILE

Fault: TypeAlias = Callable[[Picture], Picture]

CLEAN, WORSE = "as it is", "worse checkpoint"
RATE = 1
_SEED = 7
_NOISE = 0.12
"""Of the worse checkpoint: deviation of each weight, in deviations of its tensor."""


def smeared(picture: Picture) -> Picture:
    """A lens with grease on it: blurred, with a veil."""
    blurred = cv2.GaussianBlur(picture, (0, 0), picture.shape[1] / 250)
    return np.asarray(cv2.addWeighted(blurred, 0.75, np.full_like(picture, 200), 0.25, 0), np.uint8)


def turned(picture: Picture) -> Picture:
    """A camera that was knocked: shifted by a fifth of its width, and by six degrees."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 6.0, 1.0)
    matrix[:, 2] += (0.2 * width, 0.05 * height)
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def at_night(picture: Picture) -> Picture:
    """Little light: dark, with the sensor's noise."""
    dark = (picture / 255.0) ** 2.2 * 90
    noise = np.random.default_rng(int(picture[::16, ::16].sum())).normal(0, 6, picture.shape)
    return np.clip(dark + noise, 0, 255).astype(np.uint8)


def compressed(picture: Picture) -> Picture:
    """JPEG of quality 10: as a bit rate that is far too low."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    assert done
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


FAULTS: Mapping[str, Fault] = {
    CLEAN: lambda picture: picture,
    "lens smeared": smeared,
    "camera turned": turned,
    "night": at_night,
    "compression": compressed,
    WORSE: lambda picture: picture,
}


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        worse = _worse_weights(Path(folder) / "worse.safetensors")
        for condition, fault in FAULTS.items():
            with Explainer(weights=worse if condition == WORSE else None) as explainer:
                for footage, pictures in _footage(options):
                    path = options.output / footage / f"{condition}.jsonl"
                    if not path.exists():
                        print(f"{footage}: {condition}", flush=True)
                        _write(path, explainer, map(fault, pictures()))


def _footage(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Iterator[Picture]]]]:
    scene = DemoScene(_SEED, 768, 432)
    yield "street", lambda: (scene.picture(n / RATE) for n in range(options.frames))
    for path in options.clip:
        yield path.stem, partial(_decoded, path, options.frames)


def _decoded(path: Path, most: int) -> Iterator[Picture]:
    with closing(open_source(str(path))) as source:
        for number, frame in enumerate(source.frames(Sampler(max_fps=5))):
            if number == most:
                return
            yield frame.picture


def _write(path: Path, explainer: Explainer, pictures: Iterator[Picture]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for picture in pictures:
            file.write(line(explainer(np.ascontiguousarray(picture), video=path.stem, rate=RATE)))
    explainer.forget(path.stem)
    part.rename(path)


def _worse_weights(path: Path) -> Path:
    """The built-in weights with noise on the filters, as of a training that went wrong."""
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    with safe_open(NANO_FILE, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if tensor.ndim == 4:
            spread = tensor.float().std() * _NOISE
            noise = torch.randn(tensor.shape, generator=generator) * spread
            tensors[name] = (tensor.float() + noise).to(tensor.dtype)
    save_file(tensors, path, metadata)
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("drift-footage"))
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--clip", type=Path, action="append", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
