"""The detector alone: what no explanation can be faster than."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from streamcam.types import Picture
from streamcam.vision.models.torchvision import Detector, Forward

BATCHES = (1, 2, 4, 8, 16, 32)

_CLEARLY = 1.1
_ENOUGH = 2


class DetectorOnly:
    """Only the detector's forward, on frames that are on its device already.

    It is the engine's own detector, in its precision: batch norms folded, weights cast once.

    Args:
        detector: What looks.
        pictures: All frames, brought to the device now.
    """

    def __init__(self, detector: Detector, pictures: Sequence[Picture]) -> None:
        self._detector = detector
        self._pictures = detector.upload(pictures)
        self.batch = 1
        wait_for(detector.device)

    def choose_batch(self) -> None:
        """Find the batch with the shortest time for a frame, from one frame on upwards.

        The search ends where two sizes in a row are clearly slower than the best.
        """
        least, slower = float("inf"), 0
        for size in BATCHES:
            if size > len(self._pictures) or slower == _ENOUGH:
                return
            seconds = self._seconds_a_frame(size)
            slower = slower + 1 if seconds > _CLEARLY * least else 0
            if seconds < least:
                least, self.batch = seconds, size

    def run(self, confidence: float) -> int:
        """Look at every frame, and return how many boxes of this score there are."""
        found = []
        for start in range(0, len(self._pictures), self.batch):
            forward = self._look(self._pictures[start : start + self.batch])
            found += [(scores >= confidence).sum() for scores in forward.scores]
        return int(torch.stack(found).sum())

    def _look(self, pictures: Sequence[Tensor]) -> Forward:
        return self._detector.look(self._detector.prepare(pictures))

    def _seconds_a_frame(self, size: int) -> float:
        """The best of three tries, each waited for; infinite where the device has no room."""
        try:
            return min(self._timed(size) for _ in range(3)) / size
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return float("inf")

    def _timed(self, size: int) -> float:
        begun = time.perf_counter()
        self._look(self._pictures[:size])
        wait_for(self._detector.device)
        return time.perf_counter() - begun


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was told; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
