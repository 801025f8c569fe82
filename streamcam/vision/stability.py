"""Maps that hold still: one sign, one component and one range for as long as a shot lasts.

The sign of a principal direction is arbitrary, two components of like strength change places, and a
range taken from each frame alone makes an empty scene glow. Each would make a video of maps flash.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamcam.records import Frame, HeatMap
from streamcam.vision.scenecut import Thumbnail, is_cut, thumbnail

Floats = npt.NDArray[np.float32]

# The second component is followed, where it is what was shown before, as long as it is not clearly
# the weaker: two components that change places have shares within a few per cent of each other.
_RIVAL = 0.7

# Cosine from which a direction counts as that of the frame before. Between successive explained
# frames of a shot it stays above 0.9; directions of unrelated pictures stay below 0.7.
_SAME = 0.5

# A sum of a direction's entries this small (in units of its largest possible) says nothing.
_LEANING = 0.1

# The brightest half per cent of the cells is full heat: a peak of one cell does not dim the rest.
_TOP_PERCENTILE = 99.5

# The range follows a brighter scene within a second, so that nothing stays cut off for long, and
# forgets a bright thing that has left so slowly that the rest does not visibly brighten.
_RISE_SECONDS = 0.5
_FALL_SECONDS = 10.0

# Full heat is never less than this, in lengths of a typical activation vector.
_FLOOR = 0.3


@dataclass(slots=True)
class Shot:
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
class Settled:
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
class Stabiliser:
    """Settles the maps of any number of sources, each frame after the one before it.

    Attributes:
        quiet: Projections up to this are no heat: what the model shows for an empty picture.
    """

    quiet: float = 0.0
    _shots: dict[str, Shot] = field(default_factory=dict)

    def guess(self, source: str) -> Floats | None:
        """A direction that holds a part of each of the last frame's: where to start searching."""
        shot = self._shots.get(source)
        return None if shot is None else shot.others

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source."""
        self._shots.pop(source, None)

    def settle(
        self, frame: Frame, directions: Floats, projections: Floats, shares: Floats
    ) -> Settled:
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
        raw = projections[component] * sign
        top = _range(raw, frame.time, shot)
        heat = np.clip((raw - self.quiet) / max(top - self.quiet, _FLOOR), 0, 1, dtype=np.float32)
        flicker = None if shot is None else float(np.abs(heat - shot.heat).mean())
        self._shots[frame.source] = Shot(
            thumbnail=small,
            time=frame.time,
            direction=directions[component] * sign,
            others=directions.sum(axis=0),
            top=top,
            heat=heat,
        )
        return Settled(heat, component, flicker)

    def _continued(self, frame: Frame, small: Thumbnail, size: tuple[int, ...]) -> Shot | None:
        """The shot that the frame belongs to, None if it begins one."""
        shot = self._shots.get(frame.source)
        if shot is None or frame.discontinuity:
            return None
        same_size = shot.heat.shape == size
        return shot if same_size and not is_cut(shot.thumbnail, small) else None


def _choose(
    directions: Floats, projections: Floats, shares: Floats, shot: Shot | None
) -> tuple[int, float]:
    """Which component to show, and with which sign."""
    if shot is not None:
        likeness = directions @ shot.direction
        for component in np.argsort(-np.abs(likeness)):
            if abs(likeness[component]) >= _SAME and shares[component] >= _RIVAL * shares[0]:
                return int(component), math.copysign(1, likeness[component])
    return 0, natural_sign(directions[0], projections[0])


def natural_sign(direction: Floats, projection: Floats) -> float:
    """The sign that makes a component grow with the activations' magnitude.

    The sum of a principal direction's entries has the sign of its component's covariance with the
    sum of the magnitudes at each position. In 150 labelled photos and a detector early in its
    training, the map correlated with the objects' boxes in 77 % of the photos by this rule, in 73 %
    where the larger extreme was made positive (Seg-Eigen-CAM, https://doi.org/10.3390/app15137562),
    and in 64 % where the skewness was. Where the sum says nothing, as in levels of constant length
    (SSD300), the larger extreme decides.
    """
    lean = float(direction.sum()) / math.sqrt(len(direction))
    if abs(lean) < _LEANING:
        lean = float(projection.max() + projection.min())
    return math.copysign(1, lean)


def _range(raw: Floats, time: float, shot: Shot | None) -> float:
    """What counts as full heat, moving slowly through a shot."""
    top = float(np.percentile(raw, _TOP_PERCENTILE))
    if shot is None:
        return top
    inertia = _RISE_SECONDS if top > shot.top else _FALL_SECONDS
    return top + (shot.top - top) * math.exp(-max(time - shot.time, 0.0) / inertia)
