"""An example of a source: frames in a NumPy file."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from streamcam.media_errors import opening
from streamcam.sources.base import DecodedFrame, FiniteSource, Selector
from streamcam.types import SourceInfo

RATE = Fraction(25)


class NpySource(FiniteSource):
    """Frames in a NumPy file: RGB, uint8, [frames, height, width, 3], 25 per second.

    Raises:
        SourceError: The file cannot be read.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        with opening(path):
            self._pictures = np.load(path, mmap_mode="r")
        count, height, width, _ = self._pictures.shape
        self.info = SourceInfo(
            id=path,
            width=width,
            height=height,
            time_base=1 / RATE,
            frame_rate=RATE,
            duration=float(count / RATE),
            frame_count=count,
        )

    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:  # noqa: ARG002
        """Yield all frames."""
        for index, picture in enumerate(self._pictures):
            time = float(index / RATE)
            yield DecodedFrame(index, index, self.info.time_base, time, partial(np.array, picture))
