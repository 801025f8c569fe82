"""From one forward's activations to each picture's strongest components, in frame coordinates."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.vision.cam.components import (
    COMPONENTS,
    OF_HALF_PRECISION,
    PRECISE,
    join_levels,
    join_levels_as_published,
    principal_components,
)
from streamcam.vision.cam.geometry import GridGeometry, Letterbox, to_frame
from streamcam.vision.devices import computing_threads
from streamcam.vision.models.registry import Activations

Floats = npt.NDArray[np.float32]
Grid = Literal["fine", "pool"]

# Up to so many numbers in the finest level of a picture, a hundred little products take longer to
# call, and to share out between a CPU's threads, than to do: with nano's 147,000 on two cores 4.0
# instead of 1.4 ms a frame, and 0.8 for the pictures of a batch together. A ResNet-50's 16 million
# gain from threads: 27 instead of 37 ms.
_SMALL = 1_000_000


# Of every channel, beside what was found before: with ten times as much, the search for a frame
# like the one before takes two steps more.
_LITTLE = 0.1


@dataclass(frozen=True, slots=True)
class Candidates:
    """One picture's strongest components; what they hold is still without sign and range.

    Attributes:
        directions: [COMPONENTS, channels], unit length.
        maps: [COMPONENTS, rows, columns], spanning the frame, in typical activation lengths.
        shares: [COMPONENTS], of the activations' variance.
    """

    directions: Tensor
    maps: Tensor
    shares: Tensor


@dataclass(frozen=True, slots=True)
class EigenCam:
    """EigenCAM with a choice of grid.

    Attributes:
        activations: Where in the detector the maps come from.
        grid: "fine" has the cells of a level of about 16 pixels, the picture's own part only.
            "pool" is the published recipe: the coarsest level, padding included, so that the
            components equal pytorch_grad_cam's (they are cut to the picture afterwards).
    """

    activations: Activations
    grid: Grid = "fine"

    def __call__(
        self,
        levels: Mapping[str, Tensor],
        placements: Sequence[Letterbox],
        guesses: Sequence[Floats | None],
    ) -> list[Candidates]:
        """Find the components of every picture of a batch.

        Args:
            levels: The activations by level, [batch, channels, rows, columns]. Overwritten.
            placements: Where each picture lies on the canvas.
            guesses: For each picture where to start searching, [channels], None for anywhere.
        """
        first = next(iter(levels.values()))
        if first.is_cpu and first[0].numel() > _SMALL:
            return self._components(levels, placements, guesses, _each_alone(placements))
        with computing_threads(1) if first.is_cpu else nullcontext():
            return self._components(levels, placements, guesses, _alike(placements))

    def _components(
        self,
        levels: Mapping[str, Tensor],
        placements: Sequence[Letterbox],
        guesses: Sequence[Floats | None],
        groups: Sequence[Sequence[int]],
    ) -> list[Candidates]:
        found: dict[int, Candidates] = {}
        exact = next(iter(levels.values())).dtype == torch.float32
        tolerance = PRECISE if exact else OF_HALF_PRECISION
        for indices in groups:
            placement = placements[indices[0]]
            own = [_rows_of(level, indices) for level in levels.values()]
            joined, lattice = self._join(dict(zip(levels, own, strict=True)), placement)
            cells = joined.flatten(1, 2)
            start = _stack_guesses([guesses[i] for i in indices], cells)
            components = principal_components(cells, start, tolerance=tolerance)
            maps = components.projections.reshape(-1, *joined.shape[1:3])
            maps = to_frame(maps, lattice, placement)
            maps = maps.reshape(len(indices), COMPONENTS, *maps.shape[1:])
            for at, index in enumerate(indices):
                found[index] = Candidates(
                    components.directions[at], maps[at], components.shares[at]
                )
        return [found[index] for index in range(len(placements))]

    def _join(
        self, levels: Mapping[str, Tensor], placement: Letterbox
    ) -> tuple[Tensor, GridGeometry]:
        """The cells of pictures of one size, [pictures, rows, columns, channels]."""
        where, found = self.activations, list(levels.values())
        name = where.fine if self.grid == "fine" else where.pool
        rows, columns = levels[name].shape[-2:]
        size = (rows, columns)
        if self.grid == "fine":
            lattice = GridGeometry.over(placement.canvas, size, where.centre)
            inside = lattice.cells_inside(placement.resized)
            return join_levels(found, size, centre=where.centre, inside=inside), lattice
        lattice = GridGeometry.over(placement.canvas, size, where.pool_centre)
        return join_levels_as_published(found, size), lattice


def _each_alone(placements: Sequence[Letterbox]) -> list[list[int]]:
    """The pictures one by one.

    On a CPU the products of one matrix with a vector run at the memory's pace (1.5 ms for 4200
    positions of 1280 channels), and those of a batch are five times slower.
    """
    return [[index] for index in range(len(placements))]


def _alike(placements: Sequence[Letterbox]) -> list[list[int]]:
    """The pictures in groups of one size: they share what a call costs, whatever it computes."""
    groups = defaultdict(list)
    for index, placement in enumerate(placements):
        groups[placement.resized].append(index)
    return list(groups.values())


def _rows_of(level: Tensor, indices: Sequence[int]) -> Tensor:
    """The pictures of a batch by index, without a copy where they lie together."""
    first, count = indices[0], len(indices)
    if list(indices) == list(range(first, first + count)):
        return level[first : first + count]
    return level[list(indices)]


def _stack_guesses(guesses: Sequence[Floats | None], cells: Tensor) -> Tensor:
    """Where to start: what was found before, and a little of every channel for what is new."""
    channels = cells.shape[-1]
    even = np.full(channels, channels**-0.5, dtype=np.float32)
    starts = [even if guess is None else guess + _LITTLE * even for guess in guesses]
    return torch.from_numpy(np.stack(starts)).to(cells.device, non_blocking=True)
