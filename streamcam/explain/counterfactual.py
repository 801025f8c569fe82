"""What a detector would find if parts of a picture were not there.

The score of a box is that of the best candidate of its class that overlaps it by half, also where
that is below the threshold of the detector: a box that is no longer reported still has a score.
Masking a region and asking again is the occlusion experiment of Zeiler and Fergus 2014
(https://arxiv.org/abs/1311.2901), with the person choosing the regions.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamcam.explain.engine_turns import EngineTurns
from streamcam.explain.masking import Fill, MaskedPictures
from streamcam.types import Box, Detection, FrameResult, Picture
from streamcam.vision.devices import device_errors
from streamcam.vision.engine import Engine
from streamcam.vision.methods.perturbation import MIN_SCORE
from streamcam.vision.methods.targets import MIN_OVERLAP, overlap
from streamcam.vision.models.checkpoints import unnamed


@dataclass(frozen=True, slots=True)
class MaskedDetection:
    """What was detected in a masked copy; its class as the model counts, its score 0..1."""

    class_id: int
    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a box when regions of its picture were filled.

    Attributes:
        score: Of the box in the masked copy, 0..1; 0 where no candidate is left from 0.01 on.
        unmasked: Its score in the picture as it is.
        box: Where the candidate lies that has this score; None where there is none.
        detected: Whether the detector would report it: the score reaches its threshold.
        lost: Which boxes of the picture are no longer reported, by their number.
        appeared: What is reported now, and overlaps no box of its class in the picture.
        seconds: Time that masking and detecting took.
    """

    score: float
    unmasked: float
    box: Box | None
    detected: bool
    lost: Sequence[int]
    appeared: Sequence[MaskedDetection]
    seconds: float


class Counterfactuals:
    """Masks regions of one picture and detects again. From any thread.

    Args:
        result: What the detector found in the picture as it is.
        pictures: Makes the masked copies of that picture.
        classes: Labels of the detections that are wanted; empty for all.
    """

    def __init__(
        self,
        engine: Engine,
        turns: EngineTurns,
        result: FrameResult,
        pictures: MaskedPictures,
        classes: Collection[str] = (),
    ) -> None:
        self._engine = engine
        self._turns = turns
        self._boxes = result.detections
        self._pictures = pictures
        self._wanted = {label.casefold() for label in classes}
        # By the same way as the masked copies: in half precision scores depend on it.
        found = self._detect(result.frame.picture)
        self._unmasked = [_best(found, box) for box in self._boxes]

    def attempt(self, number: int, regions: Sequence[Box], fill: Fill) -> Attempt:
        """Fill regions, in pixels of the frame, and follow the box of this number.

        Raises:
            DeviceError: The GPU failed.
        """
        started = time.perf_counter()
        found = self._detect(self._pictures.masked(regions, fill))
        threshold = self._engine.description.confidence
        reported = [one for one in found if one.score >= threshold and self._wants(one.label)]
        best = _best(found, self._boxes[number])
        unmasked = self._unmasked[number]
        return Attempt(
            score=best.score if best else 0.0,
            unmasked=unmasked.score if unmasked else 0.0,
            box=best.box if best else None,
            detected=best is not None and best.score >= threshold,
            lost=[place for place, box in enumerate(self._boxes) if _best(reported, box) is None],
            appeared=[one for one in reported if not any(_alike(one, box) for box in self._boxes)],
            seconds=time.perf_counter() - started,
        )

    def _wants(self, label: str) -> bool:
        return not self._wanted or label.casefold() in self._wanted

    def _detect(self, picture: Picture) -> list[MaskedDetection]:
        """Everything from `MIN_SCORE` on, after suppression."""
        detector = self._engine.detector
        with device_errors(), self._turns.short():
            canvas, placement = detector.canvas(picture)
            (found,) = detector.detect_on_canvas(canvas, [placement], MIN_SCORE)
            boxes, scores, classes = (
                tensor.cpu().numpy() for tensor in (found.boxes, found.scores, found.class_ids)
            )
        return self._named(boxes, scores, classes)

    def _named(
        self,
        boxes: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        classes: npt.NDArray[np.int64],
    ) -> list[MaskedDetection]:
        names = self._engine.description.classes
        return [
            MaskedDetection(number, names.get(number, unnamed(number)), score, (x1, y1, x2, y2))
            for number, score, (x1, y1, x2, y2) in zip(
                classes.tolist(), scores.tolist(), boxes.tolist(), strict=True
            )
        ]


def _alike(found: MaskedDetection, box: Detection) -> bool:
    return found.class_id == box.class_id and overlap(found.box, box.box) >= MIN_OVERLAP


def _best(found: Sequence[MaskedDetection], box: Detection) -> MaskedDetection | None:
    """The most confident detection of a box's class in its place; None if there is none."""
    alike = (one for one in found if _alike(one, box))
    return max(alike, key=lambda one: one.score, default=None)
