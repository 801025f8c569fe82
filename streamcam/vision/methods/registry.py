"""Every method by the name that a user writes, and the one way to ask any of them for maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.vision.cam.geometry import Size
from streamcam.vision.methods.formulas import GRADIENT_METHODS
from streamcam.vision.methods.gradients import gradient_maps
from streamcam.vision.methods.grid import Pyramid, join_maps
from streamcam.vision.methods.perturbation import (
    Weights,
    ablation_weights,
    channel_maps,
    score_weights,
)
from streamcam.vision.methods.saved_activations import Group, SavedActivations
from streamcam.vision.models.torchvision import Detector

Floats = npt.NDArray[np.float32]

EIGENCAM = "eigencam"

METHODS = (
    EIGENCAM,
    "eigengradcam",
    "gradcam",
    "gradcam++",
    "hirescam",
    "layercam",
    "ablationcam",
    "scorecam",
    "segeigencam",
)

_CHANNEL_METHODS: dict[str, Weights] = {
    "ablationcam": ablation_weights,
    "scorecam": score_weights,
}


@dataclass(frozen=True, slots=True)
class MapMaker:
    """Makes maps of targets by one of the methods that have targets: all but EigenCAM.

    Attributes:
        detector: What found the targets.
        method: One of `METHODS`.
        centre: Where in its stride a cell's centre lies, in every level.
        only: The one level that maps are made of, for comparison; None for all of them, summed.
    """

    detector: Detector
    method: str
    centre: float
    only: str | None = None

    def __call__(
        self, kept: SavedActivations, groups: Sequence[Sequence[Group]], sizes: Sequence[Size]
    ) -> list[Floats]:
        """Make a map for every group of targets of every picture.

        Args:
            kept: What is left of the pictures' ordinary forward.
            groups: For every picture the groups of targets, at least one.
            sizes: For every picture rows and columns of its maps.

        Returns:
            For every picture float32 [groups, rows, columns], 0..1, spanning the displayed frame,
            each with its maximum at 1; zeros where a target had vanished.

        Raises:
            torch.OutOfMemoryError: It does not fit into the device's memory.
        """
        with torch.no_grad():
            found, per_cell = self._maps_by_level(kept, groups)
            joined = []
            for (pyramid, maps), size in zip(found, sizes, strict=True):
                chosen = maps if self.only is None else {self.only: maps[self.only]}
                joined.append(join_maps(chosen, pyramid, size, per_cell=per_cell).cpu().numpy())
        return joined

    def _maps_by_level(
        self, kept: SavedActivations, groups: Sequence[Sequence[Group]]
    ) -> tuple[list[tuple[Pyramid, dict[str, Tensor]]], bool]:
        """Every picture's maps by level, and whether their values are shares of single cells."""
        if self.method in GRADIENT_METHODS:
            method = GRADIENT_METHODS[self.method]
            found = gradient_maps(self.detector, kept, groups, method, self.centre)
            return found, method.per_cell
        weigh = _CHANNEL_METHODS[self.method]
        return [
            channel_maps(self.detector, kept.some([index]), own, weigh, self.centre)
            for index, own in enumerate(groups)
        ], False
