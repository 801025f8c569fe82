"""What a camera's user wants to see of all that was found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.types import Detection, FrameResult

Region = npt.NDArray[np.float32]
"""float32, [corners, 2]: x, y in shares of the frame's width and height."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFilter:
    """Which detections count.

    A detection lies in a region where its object stands: at the middle of its box's lower edge. The
    map is left as it is: it shows what the detector looks at, wanted or not.

    Attributes:
        confidence: Score from which they count, 0..1.
        classes: Labels of those that count, casefolded; None for all.
        ignored: Regions in which none count.
    """

    confidence: float = 0.0
    classes: Collection[str] | None = None
    ignored: Sequence[Region] = ()

    def of(self, result: FrameResult) -> FrameResult:
        """Return the result with the wanted detections only."""
        height, width = result.frame.picture.shape[:2]
        kept = tuple(d for d in result.detections if self._wants(d, width, height))
        if len(kept) == len(result.detections):
            return result
        return replace(result, detections=kept)

    def _wants(self, detection: Detection, width: int, height: int) -> bool:
        if detection.confidence < self.confidence:
            return False
        if self.classes is not None and detection.label.casefold() not in self.classes:
            return False
        x1, _, x2, y2 = detection.box
        foot = ((x1 + x2) / 2 / width, y2 / height)
        return all(cv2.pointPolygonTest(region, foot, False) < 0 for region in self.ignored)


def region(numbers: Sequence[float]) -> Region:
    """Return a polygon given as x, y, x, y, ...; two points are corners of a box."""
    if len(numbers) == 4:
        x1, y1, x2, y2 = numbers
        numbers = (x1, y1, x2, y1, x2, y2, x1, y2)
    return np.asarray(numbers, np.float32).reshape(-1, 2)
