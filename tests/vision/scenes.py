"""Pictures, frames and small networks for the tests of the engine."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch

from streamcam.types import Frame, Picture
from streamcam.vision.cam.eigencam import EigenCam, Grid
from streamcam.vision.engine import METHOD, Engine, EngineDescription
from streamcam.vision.models.registry import find_model
from streamcam.vision.models.torchvision import Detector

MOBILENET = "fasterrcnn_mobilenet_v3_large_320_fpn"
SSDLITE = "ssdlite320_mobilenet_v3_large"


def network(name: str, **sizes: int) -> torch.nn.Module:
    """A detector with the same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return find_model(name).build(**sizes)


def detector(name: str, *, confidence: float = 0.5, **sizes: int) -> Detector:
    """The same, watched, in float32 on the CPU."""
    return Detector(
        network(name, **sizes),
        watched=find_model(name).activations.module,
        device=torch.device("cpu"),
        confidence=confidence,
    )


def engine(name: str, *, grid: Grid = "fine", batch: int = 8, **sizes: int) -> Engine:
    """The same, explaining."""
    spec = find_model(name)
    return engine_around(detector(name, **sizes), EigenCam(spec.activations, grid), batch=batch)


def engine_around(watched: Detector, cam: EigenCam, *, batch: int = 8) -> Engine:
    description = EngineDescription(
        model="test",
        weights="random",
        weights_sha256=None,
        classes={},
        method=METHOD,
        device="cpu",
        precision="fp32",
        confidence=0.0,
        grid=cam.grid,
        batch=batch,
        versions={},
    )
    return Engine(watched, cam, description)


def noise(height: int, width: int, seed: int = 0, deviation: float = 50) -> Picture:
    values = np.random.default_rng(seed).normal(128, deviation, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def grey(height: int, width: int, value: int = 128) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def with_patch(picture: Picture, x: int, y: int, side: int, seed: int = 1) -> Picture:
    """The picture with a square of strong noise, its upper left corner at x, y."""
    patched = picture.copy()
    patched[y : y + side, x : x + side] = noise(side, side, seed, 100)
    return patched


def frame(
    picture: Picture,
    index: int = 0,
    source: str = "a",
    *,
    rate: int = 5,
    discontinuity: bool = False,
) -> Frame:
    return Frame(
        source,
        index,
        index,
        Fraction(1, rate),
        index / rate,
        picture,
        discontinuity=discontinuity,
    )


def frames(pictures: Sequence[Picture], source: str = "a") -> list[Frame]:
    return [frame(picture, index, source) for index, picture in enumerate(pictures)]
