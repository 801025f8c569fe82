"""Pictures, frames and small networks for the tests of the engine."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamcam.cam_methods import EIGENCAM
from streamcam.config import Settings
from streamcam.config.model_schema import ModelSettings
from streamcam.pipeline.engine_provider import build_engine
from streamcam.types import Frame, Picture
from streamcam.vision.cam.eigencam import EigenCam, Grid
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.engine import Engine
from streamcam.vision.engine_io import EngineDescription
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadedModule, LoadOptions, ModuleFamily
from streamcam.vision.models.nano import NANO_CATEGORIES
from streamcam.vision.models.nano_network import Nano
from streamcam.vision.models.network import (
    Candidates,
    FeatureLevels,
    Levels,
    Network,
    Raw,
    Sizing,
    to_original,
)
from streamcam.vision.models.registry import find_family
from streamcam.vision.models.torch_network import TorchNetwork
from streamcam.vision.models.torchvision import TorchvisionFamily

MOBILENET = "fasterrcnn_mobilenet_v3_large_320_fpn"
SSDLITE = "ssdlite320_mobilenet_v3_large"


def family_of(name: str) -> ModuleFamily:
    family = find_family(name)
    assert isinstance(family, ModuleFamily)
    return family


def levels_of(name: str) -> FeatureLevels:
    return family_of(name).levels(name)


def module(name: str, **sizes: int) -> torch.nn.Module:
    """A detector as it is built, with the same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return (
            Nano(NANO_CATEGORIES, **sizes)
            if name == "nano"
            else TorchvisionFamily().build(name, **sizes)
        )


def network_around(
    name: str,
    plain: torch.nn.Module,
    *,
    dtype: torch.dtype = torch.float32,
    fuse: bool = True,
) -> TorchNetwork:
    """The network of a module, which is taken over, on the CPU."""
    loaded = LoadedModule(plain, {}, "random", None)
    made = family_of(name).network(name, loaded, LoadOptions(dtype=dtype, fuse=fuse))
    assert isinstance(made, TorchNetwork)
    return made


def detector(name: str, *, confidence: float = 0.5, **sizes: int) -> Detector:
    """A detector with random weights, in float32 on the CPU."""
    return Detector(network_around(name, module(name, **sizes)), confidence)


def engine(name: str, *, grid: Grid = "fine", batch: int = 8, **sizes: int) -> Engine:
    """The same, explaining."""
    return engine_around(detector(name, **sizes), EigenCam(levels_of(name), grid), batch=batch)


def settings_of(**overrides: Any) -> Settings:
    """The default settings of the detector and its maps with some of them changed."""
    model = {key: value for key, value in overrides.items() if key in ModelSettings.model_fields}
    cam = {key: value for key, value in overrides.items() if key not in model}
    return Settings.model_validate({"model": model, "cam": cam})


def build(**overrides: Any) -> Engine:
    return build_engine(settings_of(**overrides))


def engine_around(watched: Detector, cam: EigenCam, *, batch: int = 8) -> Engine:
    description = EngineDescription(
        model="test",
        weights="random",
        weights_sha256=None,
        classes={},
        method=EIGENCAM,
        device="cpu",
        precision="fp32",
        confidence=0.0,
        grid=cam.grid,
        batch=batch,
        versions={},
    )
    return Engine(watched, cam, description)


class PatchNetwork(Network):
    """A network whose cells are averages of patches of the image."""

    def __init__(self, patches: dict[str, tuple[int, int]]) -> None:
        super().__init__(
            sizing=Sizing(shortest=378, longest=504, multiple=126, mean=(128,) * 3, std=(64,) * 3),
            levels=FeatureLevels.of(patches),
            categories={},
        )
        self._patches = patches

    def forward(self, canvas: Tensor, _: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        pool = torch.nn.functional.avg_pool2d
        return {}, {name: pool(canvas, patch) for name, patch in self._patches.items()}

    def decode(self, _: Raw, placements: Sequence[Letterbox], __: float) -> list[Candidates]:
        nothing = torch.zeros(0)
        return [Candidates(torch.zeros(0, 4), nothing, nothing.long()) for _ in placements]


class TokenNetwork(Network):
    """A network without torch modules whose cells are 14 pixels wide and 28 high."""

    def __init__(self) -> None:
        super().__init__(
            sizing=Sizing(stretch=(140, 140), multiple=1, bgr=True, pad=114),
            levels=FeatureLevels.of({"tokens": (28, 14)}),
            categories={0: "thing"},
            suppress=0.5,
            differentiable=True,
            replayable=True,
        )

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        levels = {"tokens": torch.nn.functional.avg_pool2d(canvas, (28, 14))}
        return self.from_levels(levels, placements), levels

    def from_levels(self, levels: Levels, _: Sequence[Letterbox]) -> Raw:
        return {"scores": levels["tokens"].mean(dim=1)}

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        found = []
        for scores, placement in zip(raw["scores"], placements, strict=True):
            y, x = (scores > threshold).nonzero().unbind(1)
            boxes = torch.stack([x * 14, y * 28, (x + 1) * 14, (y + 1) * 28], dim=1).float()
            found.append(
                Candidates(to_original(boxes, placement), scores[y, x], torch.zeros_like(x))
            )
        return found


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
