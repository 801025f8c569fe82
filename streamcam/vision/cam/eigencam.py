"""EigenCAM: from one forward's activations to each picture's components, in frame coordinates."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from streamcam.vision.cam.components import (
    COMPONENTS,
    TOLERANCE_FLOAT32,
    TOLERANCE_HALF,
    join_levels,
    join_levels_as_published,
    principal_components,
)
from streamcam.vision.cam.geometry import GridGeometry, Letterbox, LevelGrids, to_frame
from streamcam.vision.cam.stabilizer import (
    Floats,
    above_background,
    natural_sign,
    upper_percentile,
)
from streamcam.vision.devices import computing_threads, device_errors
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import FeatureLevels, Levels

Grid = Literal["fine", "pool"]

# Below this many numbers in a picture's finest level, calling a hundred small products and sharing
# them out between a CPU's threads takes longer than computing them: nano's 147,000 take 4.0 ms a
# frame on two cores, 1.4 on one, and 0.8 for the pictures of a batch together. A ResNet-50's 16
# million gain from threads: 27 ms instead of 37.
_SMALL_LEVEL = 1_000_000

# Share of every channel in the start vector, beside the last frame's directions. With ten times as
# much, the search for a similar frame takes two steps more.
_EVEN_SHARE = 0.1

# Of the blank pictures for the baseline.
_GREYS = (0, 128, 255)

# A network whose maps of blank pictures rise more than this (SSD300 with random weights: 0.66,
# along the border) gives no useful baseline.
_MAX_BASELINE = 0.25


@dataclass(frozen=True, slots=True)
class FrameComponents:
    """One picture's strongest components, their signs arbitrary, their range not yet scaled."""

    directions: Tensor  # [COMPONENTS, channels], unit length
    maps: Tensor  # [COMPONENTS, rows, columns], spanning the frame, in typical activation lengths
    shares: Tensor  # [COMPONENTS], of the activations' variance


@dataclass(frozen=True, slots=True)
class EigenCam:
    """EigenCAM with a choice of grid.

    Attributes:
        levels: The detector's feature maps.
        grid: "fine" has the cells of a level of about 16 pixels, the picture's own part only.
            "pool" is the published recipe: the coarsest level, padding included, so that the
            components equal pytorch_grad_cam's (they are cut to the picture afterwards).
    """

    levels: FeatureLevels
    grid: Grid = "fine"

    def __call__(
        self, levels: Levels, placements: Sequence[Letterbox], guesses: Sequence[Floats | None]
    ) -> list[FrameComponents]:
        """Find the components of every picture of a batch; the levels are overwritten.

        A guess is where to start searching, [channels], None for anywhere.
        """
        first = next(iter(levels.values()))
        if first.is_cpu and first[0].numel() > _SMALL_LEVEL:
            return self._components(levels, placements, guesses, _one_by_one(placements))
        with computing_threads(1) if first.is_cpu else nullcontext():
            return self._components(levels, placements, guesses, _by_size(placements))

    def _components(
        self,
        levels: Levels,
        placements: Sequence[Letterbox],
        guesses: Sequence[Floats | None],
        groups: Sequence[Sequence[int]],
    ) -> list[FrameComponents]:
        found: dict[int, FrameComponents] = {}
        exact = next(iter(levels.values())).dtype == torch.float32
        tolerance = TOLERANCE_FLOAT32 if exact else TOLERANCE_HALF
        for indices in groups:
            placement = placements[indices[0]]
            own = [_rows_of(level, indices) for level in levels.values()]
            joined, geometry = self._join(dict(zip(levels, own, strict=True)), placement)
            cells = joined.flatten(1, 2)
            start = _stack_guesses([guesses[i] for i in indices], cells)
            components = principal_components(cells, start, tolerance=tolerance)
            maps = components.projections.reshape(-1, *joined.shape[1:3])
            maps = to_frame(maps, geometry, placement)
            maps = maps.reshape(len(indices), COMPONENTS, *maps.shape[1:])
            for at, index in enumerate(indices):
                found[index] = FrameComponents(
                    components.directions[at], maps[at], components.shares[at]
                )
        return [found[index] for index in range(len(placements))]

    def _join(self, levels: Levels, placement: Letterbox) -> tuple[Tensor, GridGeometry]:
        """The cells of pictures of one size, [pictures, rows, columns, channels]."""
        where, grids, found = self.levels, self.levels.grids, list(levels.values())
        name = where.fine if self.grid == "fine" else where.pool
        rows, columns = levels[name].shape[-2:]
        size = (rows, columns)
        if self.grid == "fine":
            geometry = grids.geometry(name, placement.canvas, size)
            inside = geometry.inside(placement)
            ratios = grids.ratios(list(levels), name)
            joined = join_levels(found, size, centre=grids.centre, inside=inside, ratios=ratios)
            return joined, geometry
        published = LevelGrids(where.pool_centre, where.strides)
        geometry = published.geometry(name, placement.canvas, size)
        return join_levels_as_published(found, size), geometry


def _one_by_one(placements: Sequence[Letterbox]) -> list[list[int]]:
    """Each picture in a group of its own.

    On a CPU the product of one matrix with a vector runs at memory bandwidth (1.5 ms for 4200
    positions of 1280 channels); batched products are five times slower.
    """
    return [[index] for index in range(len(placements))]


def _by_size(placements: Sequence[Letterbox]) -> list[list[int]]:
    """The pictures in groups of one size, which share the cost of calls."""
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
    """Start vectors: the last frame's directions, and some of every channel for what is new."""
    channels = cells.shape[-1]
    even = np.full(channels, channels**-0.5, dtype=np.float32)
    starts = [even if guess is None else guess + _EVEN_SHARE * even for guess in guesses]
    return torch.from_numpy(np.stack(starts)).to(cells.device, non_blocking=True)


def blank_baseline(detector: Detector, cam: EigenCam) -> float:
    """How far the map of a blank picture rises above its background, in typical lengths.

    Networks respond to the edges of a blank picture. The minimum of a black, a grey and a white one
    is taken: a network may detect something in one of them.
    """
    canvas = detector.network.sizing.trial_canvas
    placements = [Letterbox(canvas, canvas, canvas)] * len(_GREYS)
    with device_errors(), torch.inference_mode():
        levels = detector.levels_of_greys(canvas, _GREYS)
        found = cam(levels, placements, [None] * len(_GREYS))
    return float(np.clip(min(_rise(components) for components in found), 0, _MAX_BASELINE))


def _rise(components: FrameComponents) -> float:
    direction = components.directions[0].cpu().numpy()
    projection = components.maps[0].cpu().numpy()
    projection *= natural_sign(direction, projection)
    return upper_percentile(above_background(projection))
