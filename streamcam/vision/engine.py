"""Frames in, explained frames out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from streamcam.records import Box, Detection, Explanation, Frame, FrameResult, HeatMap
from streamcam.vision.detector import Detector, Forward
from streamcam.vision.eigencam import join_levels, principal_components
from streamcam.vision.focus import map_peak, measure_focus
from streamcam.vision.geometry import Lattice, to_frame

METHOD = "eigencam"


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What made a result: for manifests and for people.

    Attributes:
        model: The detector's name.
        weights: Where its weights came from: a file's path or name, or "random".
        weights_sha256: Of the weights' file; None for random weights.
        classes: Names by id.
        method: How the maps are made.
        device: Where it runs, with the GPU's name.
        precision: "fp32", "fp16" or "bf16".
        confidence: Score from which a detection counts.
        grid: "fine" or "pool".
        batch: The most pictures in one forward.
        versions: Of torch and torchvision.
    """

    model: str
    weights: str
    weights_sha256: str | None
    classes: Mapping[int, str]
    method: str
    device: str
    precision: str
    confidence: float
    grid: str
    batch: int
    versions: Mapping[str, str]


class Engine:
    """Explains frames of many sources. Used from one thread.

    Args:
        detector: What looks.
        description: What it is, for the record.
        classes: Labels by class id.
        keep: Class ids to keep, None for all.
        grid: "fine" for maps of about 16 pixels a cell, "pool" for the published recipe's.
        batch: The most pictures in one forward.
    """

    def __init__(
        self,
        detector: Detector,
        description: EngineDescription,
        *,
        keep: frozenset[int] | None = None,
        grid: Literal["fine", "pool"] = "fine",
        batch: int = 8,
    ) -> None:
        self._detector = detector
        self._description = description
        self._keep = keep
        self._grid = grid
        self._batch = batch

    @property
    def description(self) -> EngineDescription:
        """What made the results, for manifests."""
        return self._description

    def explain(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Detect and explain frames of any sizes and sources; results in the same order."""
        results: list[FrameResult] = []
        for first in range(0, len(frames), self._batch):
            results += self._explain_batch(frames[first : first + self._batch])
        return results

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source that has ended."""

    def close(self) -> None:
        """Let go of the model."""
        self._detector.close()

    def _explain_batch(self, frames: Sequence[Frame]) -> list[FrameResult]:
        forward = self._detector([frame.picture for frame in frames])
        with torch.inference_mode():
            maps = self._maps(forward)
        return [
            self._result(frame, forward, index, *maps[index]) for index, frame in enumerate(frames)
        ]

    def _maps(self, forward: Forward) -> list[tuple[HeatMap, float]]:
        activations = self._detector.activations
        level = activations.fine if self._grid == "fine" else activations.pool
        rows, columns = forward.levels[level].shape[-2:]
        joined = join_levels(
            list(forward.levels.values()), (rows, columns), exact=self._grid == "pool"
        )
        maps = []
        for index, placement in enumerate(forward.placements):
            lattice = Lattice.over(placement.canvas, (rows, columns), activations.centre)
            valid = (
                lattice.cells_inside(placement.resized) if self._grid == "fine" else lattice.size
            )
            cells = joined[index, : valid[0], : valid[1]].flatten(0, 1)[None]
            components = principal_components(cells)
            projection = components.projections[:, 0].unflatten(-1, valid)
            projection = projection * components.directions[0, 0].sum().sign()
            heat = to_frame(projection, lattice, placement)[0].cpu().numpy()
            share = float(components.variances[0, 0] / components.total[0].clamp_min(1e-20))
            maps.append((np.clip(heat / max(np.percentile(heat, 99.5), 1e-6), 0, 1), share))
        return maps

    def _result(
        self, frame: Frame, forward: Forward, index: int, heat: HeatMap, share: float
    ) -> FrameResult:
        height, width = frame.picture.shape[:2]
        boxes = _clip(forward.boxes[index].cpu().numpy(), width, height)
        focus = measure_focus(heat, boxes, width=width, height=height)
        ids = forward.class_ids[index].tolist()
        scores = forward.scores[index].tolist()
        detections = tuple(
            Detection(self._description.classes.get(i, f"class {i}"), i, s, b, f)
            for i, s, b, f in zip(ids, scores, boxes, focus, strict=True)
            if s >= self._description.confidence and (self._keep is None or i in self._keep)
        )
        explanation = Explanation(METHOD, heat, share, None, map_peak(heat, width, height))
        return FrameResult(frame, detections, explanation)


def _clip(boxes: npt.NDArray[np.float32], width: int, height: int) -> list[Box]:
    limits = np.array([width, height, width, height], dtype=np.float32)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in np.clip(boxes, 0, limits).tolist()]
