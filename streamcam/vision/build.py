"""From a user's settings to an engine that is ready to explain."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
import torchvision

from streamcam.vision.detector import Detector
from streamcam.vision.engine import METHOD, Engine, EngineDescription
from streamcam.vision.zoo import DEFAULT_MODEL, find_model

Progress = Callable[[str, int, int | None], None]
"""Called while a file is fetched with its name, the bytes so far, and all bytes if known."""


def build_engine(
    *,
    model: str = DEFAULT_MODEL,
    weights: Path | Literal["random"] | None = None,
    labels: Path | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto",
    confidence: float | None = None,
    classes: Sequence[str] | None = None,
    grid: Literal["fine", "pool"] = "fine",
    batch: int = 8,
    progress: Progress | None = None,
) -> Engine:
    """Build a detector with its weights on a device, and the engine around it."""
    spec = find_model(model)
    torch.manual_seed(0)
    network = spec.build() if model == "nano" else spec.build(weights=None, weights_backbone=None)
    chosen = spec.confidence if confidence is None else confidence
    detector = Detector(
        network,
        activations=spec.activations,
        device=torch.device("cpu"),
        precision=torch.float32,
        confidence=chosen,
    )
    description = EngineDescription(
        model=model,
        weights="random",
        weights_sha256=None,
        classes=spec.categories,
        method=METHOD,
        device="cpu",
        precision="fp32",
        confidence=chosen,
        grid=grid,
        batch=batch,
        versions={"torch": torch.__version__, "torchvision": torchvision.__version__},
    )
    return Engine(detector, description, grid=grid, batch=batch)
