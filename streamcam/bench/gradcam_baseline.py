"""Baseline: the recipe of pytorch_grad_cam's tutorial, applied to every frame of a video.

The tutorial on class activation maps for object detection
(https://jacobgil.github.io/pytorch-gradcam-book): one forward to predict, a call of EigenCAM on the
backbone, which is a second forward and a full SVD on the CPU, then heat and boxes on the picture.
Videos are read and written with OpenCV; the detector and the CAM are built once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from pytorch_grad_cam.utils.reshape_transforms import fasterrcnn_reshape_transform
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from streamcam.errors import SinkError, SourceError
from streamcam.types import HeatMap, Picture
from streamcam.vision.build import load_module
from streamcam.vision.engine import Engine
from streamcam.vision.engine_options import ModelOptions
from streamcam.vision.models.detector_module import DetectorModule, join_as_published
from streamcam.vision.models.family import LoadedModule
from streamcam.vision.models.network import FeatureLevels

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GradCamResult:
    """The recipe's result for one frame."""

    boxes: Floats  # [found, 4]: x1, y1, x2, y2 in the picture's pixels
    labels: npt.NDArray[np.int64]  # [found], class ids
    heat: HeatMap  # its map, the picture's [height, width], 0..1
    picture: Picture  # heat and boxes on the picture, RGB


def build_gradcam_baseline(engine: Engine, model: ModelOptions) -> "GradCamBaseline":
    """The recipe with an engine's detector, weights and device.

    The network is one of its own, as it was published; where there is none such, the engine's.
    """
    loaded = load_module(model)
    if loaded is None:
        own = DetectorModule(engine.detector)
        categories = engine.detector.network.categories
        loaded = LoadedModule(own, categories, engine.description.weights, None, watched="levels")
    confidence = engine.description.confidence
    return GradCamBaseline(loaded, engine.cam.levels, engine.detector.device, confidence)


class GradCamBaseline:
    """The recipe, one frame at a time, in float32; a context manager."""

    def __init__(
        self, loaded: LoadedModule, levels: FeatureLevels, device: torch.device, confidence: float
    ) -> None:
        self._network = loaded.module.eval().to(device)
        self._classes = loaded.categories
        self._device = device
        self._confidence = confidence
        self._level = levels.pool
        watched = self._network.get_submodule(loaded.watched)
        self._cam = EigenCAM(self._network, [watched], reshape_transform=self._reshape)
        self._colours = np.random.default_rng(0).uniform(0, 255, (len(loaded.categories) + 1, 3))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._cam.activations_and_grads.release()

    def run(self, source: Path, target: Path, frames: int) -> int:
        """Explain a video's first frames, file to file; return the number of boxes."""
        reader = cv2.VideoCapture(str(source))
        size = tuple(
            int(reader.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(target), code, reader.get(cv2.CAP_PROP_FPS), size)
        if not writer.isOpened():
            raise SinkError(f"{target}: OpenCV cannot write it")
        count = 0
        try:
            for _ in range(frames):
                read, bgr = reader.read()
                if not read:
                    raise SourceError(f"{source}: OpenCV cannot read it to its end")
                result = self.explain(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))  # type: ignore[arg-type]
                writer.write(cv2.cvtColor(result.picture, cv2.COLOR_RGB2BGR))
                count += len(result.boxes)
        finally:
            writer.release()
            reader.release()
        return count

    def explain(self, picture: Picture) -> GradCamResult:
        pixels = to_tensor(picture).unsqueeze(0).to(self._device)
        boxes, labels, names = self._predict(pixels)
        targets = [FasterRCNNBoxScoreTarget(labels=labels, bounding_boxes=boxes)]
        heat = self._cam(pixels, targets=targets)[0, :]
        shown = show_cam_on_image(np.float32(picture) / 255, heat, use_rgb=True)
        return GradCamResult(boxes, labels, heat, self._draw(shown, boxes, labels, names))

    def _predict(self, pixels: Tensor) -> tuple[Floats, npt.NDArray[np.int64], list[str]]:
        (found,) = self._network(pixels)
        selected = found["scores"].detach().cpu().numpy() >= self._confidence
        boxes = found["boxes"].detach().cpu().numpy()[selected]
        labels = found["labels"].cpu().numpy()[selected]
        return boxes, labels, [self._classes.get(int(label), "") for label in labels]

    def _draw(
        self, picture: Picture, boxes: Floats, labels: npt.NDArray[np.int64], names: list[str]
    ) -> Picture:
        for box, label, name in zip(boxes.astype(int), labels, names, strict=True):
            colour = self._colours[int(label) % len(self._colours)]
            left, top, right, bottom = (int(side) for side in box)
            cv2.rectangle(picture, (left, top), (right, bottom), colour, 2)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(picture, name, (left, top - 5), font, 0.8, colour, 2, cv2.LINE_AA)
        return picture

    def _reshape(self, levels: Mapping[str, Tensor]) -> Tensor:
        """The package's own for Faster R-CNN; the same with another level if there is no "pool"."""
        if "pool" in levels:
            joined: Tensor = fasterrcnn_reshape_transform(levels)
            return joined
        return join_as_published(levels, self._level)
