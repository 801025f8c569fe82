"""Maps that know nothing of the network: what every method must beat."""

import numpy as np

from streamcam.types import HeatMap
from streamcam.vision.cam.geometry import Size

RANDOM = "random"
CENTRE = "centre"
BASELINES = (RANDOM, CENTRE)

_WIDTH = 0.25
"""Standard deviation of the centre prior, as a share of each side: people put things there."""


def random_map(size: Size, random: np.random.Generator) -> HeatMap:
    """Independent cells, evenly distributed over 0..1."""
    return random.random(size, dtype=np.float32)


def centre_map(size: Size) -> HeatMap:
    """A Gaussian in the middle of the frame, 1 at its top."""
    rows, columns = (
        np.exp(-(((np.arange(count) + 0.5) / count - 0.5) ** 2) / (2 * _WIDTH**2)) for count in size
    )
    heat = np.outer(rows, columns)
    scaled: HeatMap = (heat / heat.max()).astype(np.float32)
    return scaled
