"""Maps that hold still: one sign, one component and one range for as long as a shot lasts.

The sign of a principal direction is arbitrary, two components of like strength change places, and a
range taken from each frame alone makes an empty scene glow. Each would make a video of maps flash.
"""

import math
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from streamcam.types import Frame, HeatMap
from streamcam.vision.cam.scene_cut import Thumbnail, is_cut, is_empty, thumbnail

Floats = npt.NDArray[np.float32]

# The second component is followed, where it is what was shown before, as long as it is not clearly
# the weaker: two components that change places have shares within a few per cent of each other.
_RIVAL = 0.7

# Cosine from which a direction continues that of the frame before. Within the shots of eight real
# videos, at five frames a second, it never fell below 0.90.
_SAME = 0.5

# How far a direction leans towards large activations: the sum of its entries, 1 at the most. Where
# it is this small it says nothing.
_LEANING = 0.1

# A locked sign that leans the wrong way by this much is wrong: a camera that runs for months may
# drift there without a single cut. Rightly signed directions lean by 0.6 on average.
_CONTRARY = -0.3

# The brightest half per cent of the cells is full heat: a peak of one cell does not dim the rest.
_TOP_PERCENTILE = 99.5

# Full heat follows a brighter scene within a second, so that nothing stays cut off for long, and
# forgets a bright thing that has left so slowly that the rest does not visibly brighten.
_RISE_SECONDS = 0.5
_FALL_SECONDS = 10.0

# The frame's middle, for the background, leaves out an eighth on each side: about 64 of a network's
# pixels, by which the edges' influence has faded.
_MARGIN_SHARE = 8

# Full heat is never less than this above the background, in lengths of a typical activation vector.
# With an early state of nano, of 80 photos 95 % had more than 0.22 and half of them more than 0.42;
# empty pictures, noise up to a deviation of 8 grey levels and soft gradients had at most 0.19.
_FLOOR = 0.3


@dataclass(slots=True)
class SceneState:
    """What is remembered of a source's current shot.

    Attributes:
        thumbnail: The last explained picture, small.
        time: Its time, in seconds.
        direction: The principal direction that its map shows, sign applied.
        others: The sum of all directions that were found in it.
        top: What counts as full heat.
        heat: Its map.
    """

    thumbnail: Thumbnail
    time: float
    direction: Floats
    others: Floats
    top: float
    heat: HeatMap


@dataclass(frozen=True, slots=True)
class StabilizedMap:
    """One frame's map after its sign, component and range are settled.

    Attributes:
        heat: 0..1.
        component: Which of the components it shows.
        flicker: Mean absolute change since the map before, None for the first of a shot.
    """

    heat: HeatMap
    component: int
    flicker: float | None


@dataclass(slots=True)
class MapStabilizer:
    """Settles the maps of any number of sources, each frame after the one before it.

    Attributes:
        quiet: Projections up to this are no heat: what the model shows for an empty picture.
    """

    quiet: float = 0.0
    _shots: dict[str, SceneState] = field(default_factory=dict)

    def guess(self, source: str) -> Floats | None:
        """A direction that holds a part of each of the last frame's: where to start searching."""
        shot = self._shots.get(source)
        return None if shot is None else shot.others

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source."""
        self._shots.pop(source, None)

    def settle(
        self, frame: Frame, directions: Floats, projections: Floats, shares: Floats
    ) -> StabilizedMap:
        """Turn a frame's components into its map.

        Args:
            frame: Frames of one source come in their order.
            directions: [components, channels], unit length, strongest first, signs arbitrary.
            projections: [components, rows, columns], in typical activation lengths.
            shares: [components], of the variance.
        """
        small = thumbnail(frame.picture)
        shot = self._continued(frame, small, projections.shape[1:])
        component, sign = _choose(directions, projections, shares, shot)
        raw = above_background(projections[component] * sign) - self.quiet
        if is_empty(small):
            # All that varies then is how the network sees its own padding, on white strongly.
            raw = np.zeros_like(raw)
        top = _range(raw, frame.time, shot)
        heat = np.clip(raw / max(top, _FLOOR), 0, 1)
        flicker = None if shot is None else float(np.abs(heat - shot.heat).mean())
        self._shots[frame.source] = SceneState(
            thumbnail=small,
            time=frame.time,
            direction=directions[component] * sign,
            others=directions.sum(axis=0),
            top=top,
            heat=heat,
        )
        return StabilizedMap(heat, component, flicker)

    def _continued(
        self, frame: Frame, small: Thumbnail, size: tuple[int, ...]
    ) -> SceneState | None:
        """The shot that the frame belongs to, None if it begins one."""
        shot = self._shots.get(frame.source)
        if shot is None or frame.discontinuity:
            return None
        same_size = shot.heat.shape == size
        return shot if same_size and not is_cut(shot.thumbnail, small) else None


def _choose(
    directions: Floats, projections: Floats, shares: Floats, shot: SceneState | None
) -> tuple[int, float]:
    """Which component to show, and with which sign."""
    if shot is None:
        return 0, natural_sign(directions[0], projections[0])
    likeness = np.where(shares >= _RIVAL * shares[0], directions @ shot.direction, 0)
    component = int(np.abs(likeness).argmax())
    sign = math.copysign(1, likeness[component])
    if abs(likeness[component]) < _SAME or _lean(directions[component]) * sign < _CONTRARY:
        sign = natural_sign(directions[component], projections[component])
    return component, sign


def _lean(direction: Floats) -> float:
    return float(direction.sum()) / math.sqrt(len(direction))


def natural_sign(direction: Floats, projection: Floats) -> float:
    """The sign that makes a component grow with the activations' magnitude.

    The sum of a principal direction's entries has the sign of its component's covariance with the
    sum of the magnitudes at each position. In 150 labelled photos and a half-trained nano, the map
    correlated with the objects' boxes in 89 % of the photos by this rule, in 87 % where the larger
    extreme was made positive (Seg-Eigen-CAM, https://doi.org/10.3390/app15137562), and in 79 %
    where the skewness was; at a sixth of the training in 90, 82 and 74 %. Where the sum says
    nothing, as in levels of constant length (SSD300), the larger extreme decides.
    """
    lean = _lean(direction)
    if abs(lean) < _LEANING:
        lean = float(projection.max() + projection.min())
    return math.copysign(1, lean)


def above_background(projection: Floats) -> Floats:
    """A projection less the mean of its middle.

    What lies along a frame's edges sees the network's zero padding, and differs even in an empty
    picture. Counting from the mean of all cells, as EigenCAM does, such a picture's whole middle
    would glow (by 0.10 to 0.25 typical lengths; by 0.03 to 0.19 this way).
    """
    rows, columns = (side // _MARGIN_SHARE for side in projection.shape)
    middle = projection[rows : projection.shape[0] - rows, columns : projection.shape[1] - columns]
    return cast("Floats", projection - middle.mean())


def top_of(raw: Floats) -> float:
    """What would be full heat if there were only this frame."""
    at = (raw.size - 1) * _TOP_PERCENTILE / 100
    below, above = math.floor(at), math.ceil(at)
    # What `np.percentile` does, which takes ten times as long for so few cells.
    ranked = np.partition(raw.ravel(), (below, above))
    return float(ranked[below] + (at - below) * (ranked[above] - ranked[below]))


def _range(raw: Floats, time: float, shot: SceneState | None) -> float:
    """What counts as full heat, moving slowly through a shot."""
    top = top_of(raw)
    if shot is None:
        return top
    inertia = _RISE_SECONDS if top > shot.top else _FALL_SECONDS
    return top + (shot.top - top) * math.exp(-max(time - shot.time, 0.0) / inertia)
