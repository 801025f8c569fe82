"""Activations that are saved from the ordinary forward pass for methods that explain boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from streamcam.types import Picture
from streamcam.vision.cam.geometry import GridGeometry, Letterbox, LevelGrids, Size, to_grid
from streamcam.vision.models.detector import Detector, Forward
from streamcam.vision.models.network import Levels


@dataclass(frozen=True, slots=True)
class Pyramid:
    """One image's activations by level, the padding cut off."""

    levels: Mapping[str, Tensor]  # float32, each [channels, rows, columns]
    geometries: Mapping[str, GridGeometry]  # where each level's cells lie on the canvas
    placement: Letterbox  # where the image lies on the canvas

    @classmethod
    def of(cls, levels: Mapping[str, Tensor], placement: Letterbox, grids: LevelGrids) -> "Pyramid":
        """Cut levels of a whole canvas, each [channels, rows, columns]."""
        geometries = {
            name: grids.geometry(name, placement.canvas, (level.shape[-2], level.shape[-1]))
            for name, level in levels.items()
        }
        inside = {}
        for name, level in levels.items():
            rows, columns = geometries[name].inside(placement)
            inside[name] = level[:, rows, columns]
        return cls(inside, geometries, placement)

    def join(self, maps: Mapping[str, Tensor], size: Size, *, per_cell: bool) -> Tensor:
        """Sum the levels' maps on one grid over the frame.

        Only what raises the score is shown (ReLU). The levels keep their proportions: the one that
        a box was detected on outweighs the others, and boxes of other levels are visible too.

        Args:
            maps: By level, each [targets, rows, columns]; of all levels or of some.
            size: Of the grid.
            per_cell: Whether values are shares of single cells, see `GradientFormula`.

        Returns:
            [targets, *size], each with a maximum of 1; zeros where nothing raises the score.
        """
        first = next(iter(maps.values()))
        total = first.new_zeros((first.shape[0], *size))
        for name, values in maps.items():
            geometry = self.geometries[name]
            area = geometry.stride[0] * geometry.stride[1] if per_cell else 1.0
            total += to_grid(values.clamp(min=0) / area, geometry, self.placement, size)
        maximum = total.amax(dim=(1, 2), keepdim=True)
        tiny = torch.finfo(total.dtype).tiny
        return torch.where(maximum > 0, total / maximum.clamp(min=tiny), 0)


@dataclass(frozen=True, slots=True)
class SavedActivations:
    """Copies of a forward pass's activations, since the frame's own map overwrites those."""

    levels: Levels  # float32, each [batch, channels, rows, columns]
    placements: Sequence[Letterbox]  # where each image lies on the canvas
    pictures: Sequence[Picture]  # the frames' pictures as they came, RGB uint8

    @classmethod
    def of(
        cls, forward: Forward, indices: Sequence[int], pictures: Sequence[Picture]
    ) -> "SavedActivations":
        """Copy the activations of some of a batch's images, not yet overwritten."""
        # Tensors made in inference mode cannot take part in a backward; copies made outside can.
        with torch.inference_mode(mode=False):
            levels = {
                name: level[list(indices)].to(torch.float32, copy=True)
                for name, level in forward.levels.items()
            }
        return cls(levels, [forward.placements[index] for index in indices], pictures)

    def replayable(self, detector: Detector) -> "SavedActivations":
        """Those that `Network.from_levels` belongs to: of the same pictures, in float32 if need be.

        Call it without gradients.
        """
        network = detector.network
        if not network.replays_in_float32:
            return self
        inputs = detector.preprocess(detector.upload(self.pictures))
        with network.in_float32():
            _, levels = network.forward(inputs.canvas, inputs.placements)
        return SavedActivations(levels, inputs.placements, self.pictures)

    def select(self, indices: Sequence[int]) -> "SavedActivations":
        if len(indices) == len(self.placements):
            return self
        return SavedActivations(
            {name: level[list(indices)] for name, level in self.levels.items()},
            [self.placements[index] for index in indices],
            [self.pictures[index] for index in indices],
        )

    def pyramid(self, index: int, grids: LevelGrids) -> Pyramid:
        own = {name: level[index] for name, level in self.levels.items()}
        return Pyramid.of(own, self.placements[index], grids)
