"""Assertions that hold for the frames of every source, file or camera."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from streamcam.types import Frame, SourceInfo


def assert_as_announced(frames: Sequence[Frame], info: SourceInfo) -> None:
    """Assert that frames agree with their source's `info` and are usable arrays."""
    for frame in frames:
        assert frame.source == info.id
        assert frame.time_base == info.time_base
        assert frame.sampled
        assert frame.arrival > 0
        assert frame.picture.shape == (info.height, info.width, 3)
        assert frame.picture.dtype == np.uint8
        assert frame.picture.flags.c_contiguous
        assert frame.picture.flags.writeable, "read-only arrays make other libraries warn"


def assert_in_order(frames: Sequence[Frame]) -> None:
    """Assert that frames begin a source and continue without a discontinuity."""
    first = frames[0]
    assert (first.index, first.time, first.discontinuity) == (0, 0.0, True)
    for before, after in pairwise(frames):
        assert after.index > before.index
        assert after.pts > before.pts
        assert after.time > before.time
        assert not after.discontinuity
