"""The few frames that are kept as pictures: those with the highest score, one of each unit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import cv2
import numpy as np

from streamcam.types import Picture

T = TypeVar("T")

_EXACT = (cv2.IMWRITE_JPEG_QUALITY, 95)
_SHOWN = (cv2.IMWRITE_JPEG_QUALITY, 82)


@dataclass(slots=True)
class BestOfUnits(Generic[T]):
    """Keeps what belongs to the highest scores, at most one of each unit.

    A unit is what shows the same, such as a second of a video; units come one after the other.
    """

    capacity: int
    _kept: list[tuple[float, int, T]] = field(default_factory=list)

    def consider(self, unit: int, score: float, make: Callable[[], T]) -> None:
        """Keep what `make` returns, if the score (above 0) is among the highest so far."""
        if score <= 0 or not self.capacity:
            return
        rival = next((one for one in self._kept if one[1] == unit), None)
        if rival is None and len(self._kept) == self.capacity:
            rival = min(self._kept, key=lambda one: one[:2])
        if rival is not None and rival[0] >= score:
            return
        if rival is not None:
            self._kept = [one for one in self._kept if one is not rival]
        self._kept.append((score, unit, make()))

    def best(self) -> list[T]:
        """What is kept, the highest score first."""
        return [value for _, _, value in sorted(self._kept, key=lambda one: (-one[0], one[1]))]


def jpeg(picture: Picture, *, exact: bool = False) -> bytes:
    """Encode an RGB picture; `exact` where detectors look at it again."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, _EXACT if exact else _SHOWN)[1].tobytes()


def decoded(encoded: bytes) -> Picture:
    """The picture of a JPEG that `jpeg` made."""
    bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
