"""Makes maps of targets by any CAM method that has targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.cam_methods import METHODS, PerturbationFormula
from streamcam.vision.cam.geometry import LevelGrids, Size
from streamcam.vision.methods.gradients import gradient_maps
from streamcam.vision.methods.perturbation import perturbation_maps
from streamcam.vision.methods.saved_activations import Pyramid, SavedActivations
from streamcam.vision.methods.targets import Group
from streamcam.vision.models.detector import Detector

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapMaker:
    """Makes maps of targets by one method.

    Attributes:
        detector: What detected the targets.
        method: Name of a method that has targets: any but EigenCAM.
        grids: How the levels' cells lie on the canvas.
        level: The only level to make maps of, for comparison; None for the sum of all.
    """

    detector: Detector
    method: str
    grids: LevelGrids
    level: str | None = None

    def __call__(
        self, saved: SavedActivations, groups: Sequence[Sequence[Group]], sizes: Sequence[Size]
    ) -> list[Floats]:
        """Make a map for every group of targets of every image.

        Args:
            saved: The activations of the images' ordinary forward pass.
            groups: For every image the groups of targets, at least one.
            sizes: For every image rows and columns of its maps.

        Returns:
            For every image float32 [groups, rows, columns], 0..1, spanning the displayed frame,
            each with its maximum at 1; zeros where a target has no match.

        Raises:
            torch.OutOfMemoryError: It does not fit into the device's memory.
        """
        with torch.no_grad():
            by_image, per_cell = self._maps_by_level(saved, groups)
            joined = []
            for (pyramid, maps), size in zip(by_image, sizes, strict=True):
                chosen = maps if self.level is None else {self.level: maps[self.level]}
                joined.append(pyramid.join(chosen, size, per_cell=per_cell).cpu().numpy())
        return joined

    def _maps_by_level(
        self, saved: SavedActivations, groups: Sequence[Sequence[Group]]
    ) -> tuple[list[tuple[Pyramid, dict[str, Tensor]]], bool]:
        """Every image's maps by level, and whether their values are shares of single cells."""
        formula = METHODS[self.method].formula
        assert formula is not None, "a method without targets"
        if isinstance(formula, PerturbationFormula):
            return [
                perturbation_maps(self.detector, saved.select([index]), own, formula, self.grids)
                for index, own in enumerate(groups)
            ], False
        maps = gradient_maps(self.detector, saved, groups, formula, self.grids)
        return maps, formula.per_cell
