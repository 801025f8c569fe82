"""The published recipe for detectors, compared with ours on the same frames.

The example of pytorch_grad_cam's documentation: EigenCAM on the backbone of a detector, its levels
shrunk to the coarsest one, and `FasterRCNNBoxScoreTarget`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import torch
from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from streamcam.audit.scores import Comparison
from streamcam.types import FrameResult, HeatMap, Picture
from streamcam.vision.cam.components import join_levels_as_published, principal_components
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cam.stabilizer import Floats
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.detector_module import DetectorModule, join_as_published
from streamcam.vision.models.network import FeatureLevels


@dataclass(frozen=True, slots=True)
class PublishedMap:
    """The published recipe's result for one frame."""

    heat: HeatMap  # its final map, the frame's [height, width], 0..1
    projection: Floats  # the first component on the coarsest level's grid, not scaled
    seconds: float  # its time, including its own forward


class PublishedEigenCam:
    """pytorch_grad_cam's EigenCAM with the published recipe; a context manager."""

    def __init__(self, detector: Detector, levels: FeatureLevels) -> None:
        module = DetectorModule(detector)
        self._cam = EigenCAM(
            module, [module.levels], lambda found: join_as_published(found, levels.pool)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        # Its hooks would keep every forward's activations.
        self._cam.activations_and_grads.release()

    def __call__(self, result: FrameResult) -> PublishedMap:
        boxes = np.array([d.box for d in result.detections], np.float32).reshape(-1, 4)
        labels = [d.class_id for d in result.detections]
        pixels = torch.from_numpy(result.frame.picture).permute(2, 0, 1)[None] / 255
        start = time.perf_counter()
        with torch.no_grad():
            (heat,) = self._cam(pixels, targets=[FasterRCNNBoxScoreTarget(labels, boxes)])
        seconds = time.perf_counter() - start
        activations = self._cam.activations_and_grads.activations[0].numpy()
        return PublishedMap(heat, get_2d_projection(activations)[0], seconds)


@torch.inference_mode()
def projection_as_published(
    detector: Detector, names: FeatureLevels, picture: Picture
) -> tuple[Floats, Letterbox]:
    """Our first component with the recipe's settings, and the picture's letterbox.

    In float32 as in the recipe, whatever the detector's precision.
    """
    canvas, placement = detector.canvas(picture)
    with detector.network.in_float32():
        _, levels = detector.network.forward(canvas, [placement])
    rows, columns = levels[names.pool].shape[-2:]
    cells = join_levels_as_published(list(levels.values()), (rows, columns)).flatten(1, 2)
    found = principal_components(cells, torch.ones_like(cells[:, 0]))
    projection = (found.projections[0, 0] * found.scale[0]).reshape(rows, columns)
    return projection.cpu().numpy(), placement


def compare(
    detector: Detector,
    levels: FeatureLevels,
    results: Sequence[FrameResult],
    published: Sequence[PublishedMap],
    seconds_ours: float,
) -> Comparison:
    """Compare the published recipe's maps with ours of the same frames."""
    errors, shifts = [], []
    for result, theirs in zip(results, published, strict=True):
        ours, placement = projection_as_published(detector, levels, result.frame.picture)
        errors.append(_up_to_sign(ours, theirs.projection))
        shifts.append(stretch_error(placement))
    rows, columns = results[0].explanation.map.shape
    return Comparison(
        error=max(errors),
        shift=max(shifts),
        cells=(
            (published[0].projection.shape[0], published[0].projection.shape[1]),
            (rows, columns),
        ),
        inverted=sum(map(_is_inverted, results, published)),
        frames=len(results),
        seconds=float(np.median([one.seconds for one in published])),
        seconds_ours=seconds_ours,
    )


def stretch_error(placement: Letterbox) -> float:
    """Displacement of a map's far corner if the canvas is stretched over the frame, in pixels."""
    return max(
        original * (1 - resized / canvas)
        for original, resized, canvas in zip(
            placement.original, placement.resized, placement.canvas, strict=True
        )
    )


def _up_to_sign(ours: Floats, theirs: Floats) -> float:
    nearer = min(np.linalg.norm(ours - theirs), np.linalg.norm(ours + theirs))
    return float(nearer / np.linalg.norm(theirs))


def _is_inverted(result: FrameResult, published: PublishedMap) -> bool:
    """Whether the published map correlates negatively with ours."""
    ours = result.explanation.map
    theirs = cv2.resize(published.heat, ours.shape[::-1], interpolation=cv2.INTER_AREA)
    return bool(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] < 0)
