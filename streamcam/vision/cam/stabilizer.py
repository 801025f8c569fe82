"""Temporal stabilisation: one sign, one component and one slow range per shot of a source.

The sign of a principal direction is arbitrary, two components of similar strength swap, and a range
taken from each frame alone stretches the noise of an empty scene. Each would make the map flicker.
A shot ends at a scene cut, which is found by comparing small copies of successive frames.
"""

import math
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.types import Frame, HeatMap, Picture

Floats = npt.NDArray[np.float32]
Thumbnail = npt.NDArray[np.float32]
"""float32, [18, 32, 3], values 0..255."""

_THUMBNAIL_SIZE = (32, 18)

# A cut needs a larger change and a lower correlation than these. Within the shots of eight real
# videos at five frames a second the change was at most 26 (99 % below 18) and the correlation at
# least 0.48. Of 623 pairs of unrelated pictures, 99 % differed by more than 35 and correlated by
# less than 0.52. Neither alone is enough: a light that is switched on changes much but correlates,
# noise in the dark does not correlate but changes little.
_MIN_CUT_CHANGE = 30.0
_MAX_CUT_CORRELATION = 0.55

# Standard deviation in grey levels below which a picture is empty. The lowest of eight real videos
# and a thousand photos was 9.9; uniform areas have 0, averaged sensor noise of 8 grey levels 2.1.
_MIN_DEVIATION = 3.0

# Minimum share of the second component, relative to the first, from which it may be followed where
# it continues the map shown before: components that swap have shares within a few per cent.
_MIN_RIVAL_SHARE = 0.7

# Minimum cosine of a direction that continues that of the frame before. Within the shots of eight
# real videos, at five frames a second, it never fell below 0.90.
_MIN_COSINE = 0.5

# Below this magnitude the cosine between a direction and the all-ones vector (large activations)
# does not determine the sign.
_MIN_MAGNITUDE_COSINE = 0.1

# A locked sign is wrong if that cosine is below this: a camera that runs for months may drift there
# without a single cut. Correctly signed directions have 0.6 on average.
_CONTRADICTION = -0.3

# The brightest 0.5 % of the cells is full heat: a peak of one cell does not dim the rest.
_TOP_PERCENTILE = 99.5

# Time constants of full heat: a brighter scene is followed within a second, so that nothing is
# clipped for long; after a bright object has left, the rest must not visibly brighten.
_RISE_SECONDS = 0.5
_FALL_SECONDS = 10.0

# The background is measured without an eighth of the frame on each side: about 64 of a network's
# pixels, beyond which the padding has little influence.
_MARGIN_SHARE = 8

# Minimum of full heat above the background, in lengths of a typical activation vector. With an
# early checkpoint of nano, 95 % of 80 photos had more than 0.22 and half of them more than 0.42;
# empty pictures, noise up to a deviation of 8 grey levels and soft gradients had at most 0.19.
_MIN_FULL_HEAT = 0.3


@dataclass(slots=True)
class SceneState:
    """State of a source's current shot: what its last explained picture left."""

    thumbnail: Thumbnail
    time: float  # in seconds
    direction: Floats  # the one that the map shows, sign applied
    combined: Floats  # the sum of all directions
    full_heat: float  # projection above the background that is drawn as 1
    heat: HeatMap


@dataclass(frozen=True, slots=True)
class StabilizedMap:
    """One frame's map with its final sign, component and range."""

    heat: HeatMap  # 0..1
    component: int  # the one that it shows
    flicker: float | None  # mean absolute change since the map before; None at a shot's beginning


@dataclass(slots=True)
class MapStabilizer:
    """Stabilises the maps of any number of sources, whose frames come in their order.

    The baseline, what the model shows for an empty picture, is subtracted from projections.
    """

    baseline: float = 0.0
    _shots: dict[str, SceneState] = field(default_factory=dict)

    def guess(self, source: str) -> Floats | None:
        """Start vector for the next frame's search: the sum of the last frame's directions."""
        shot = self._shots.get(source)
        return None if shot is None else shot.combined

    def forget(self, source: str) -> None:
        self._shots.pop(source, None)

    def stabilize(
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
        raw = above_background(projections[component] * sign) - self.baseline
        if is_empty(small):
            # The only variation then comes from the network's own padding.
            raw = np.zeros_like(raw)
        full_heat = _full_heat(raw, frame.time, shot)
        heat = np.clip(raw / max(full_heat, _MIN_FULL_HEAT), 0, 1)
        flicker = None if shot is None else float(np.abs(heat - shot.heat).mean())
        self._shots[frame.source] = SceneState(
            thumbnail=small,
            time=frame.time,
            direction=directions[component] * sign,
            combined=directions.sum(axis=0),
            full_heat=full_heat,
            heat=heat,
        )
        return StabilizedMap(heat, component, flicker)

    def _continued(
        self, frame: Frame, small: Thumbnail, size: tuple[int, ...]
    ) -> SceneState | None:
        """The shot that the frame continues, None if it begins one."""
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
    cosines = np.where(shares >= _MIN_RIVAL_SHARE * shares[0], directions @ shot.direction, 0)
    component = int(np.abs(cosines).argmax())
    sign = math.copysign(1, cosines[component])
    contradicted = _magnitude_cosine(directions[component]) * sign < _CONTRADICTION
    if abs(cosines[component]) < _MIN_COSINE or contradicted:
        sign = natural_sign(directions[component], projections[component])
    return component, sign


def _magnitude_cosine(direction: Floats) -> float:
    """Cosine of a direction with the all-ones vector."""
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
    evidence = _magnitude_cosine(direction)
    if abs(evidence) < _MIN_MAGNITUDE_COSINE:
        evidence = float(projection.max() + projection.min())
    return math.copysign(1, evidence)


def above_background(projection: Floats) -> Floats:
    """A projection minus the mean of its middle.

    Cells along a frame's edges see the network's zero padding and differ even in an empty picture.
    With the mean of all cells subtracted, as in EigenCAM, the middle of such a picture would be
    raised by 0.10 to 0.25 typical lengths; with the mean of the middle it is 0.03 to 0.19.
    """
    rows, columns = (side // _MARGIN_SHARE for side in projection.shape)
    middle = projection[rows : projection.shape[0] - rows, columns : projection.shape[1] - columns]
    return cast("Floats", projection - middle.mean())


def upper_percentile(raw: Floats) -> float:
    """Full heat of a single frame: the percentile `_TOP_PERCENTILE` of its cells."""
    at = (raw.size - 1) * _TOP_PERCENTILE / 100
    below, above = math.floor(at), math.ceil(at)
    # Equal to `np.percentile`, which takes ten times as long for so few cells.
    ranked = np.partition(raw.ravel(), (below, above))
    return float(ranked[below] + (at - below) * (ranked[above] - ranked[below]))


def _full_heat(raw: Floats, time: float, shot: SceneState | None) -> float:
    """Full heat, smoothed exponentially through a shot."""
    own = upper_percentile(raw)
    if shot is None:
        return own
    seconds = _RISE_SECONDS if own > shot.full_heat else _FALL_SECONDS
    return own + (shot.full_heat - own) * math.exp(-max(time - shot.time, 0.0) / seconds)


def thumbnail(picture: Picture) -> Thumbnail:
    """A small copy for comparison. Skips pixels first: averaging 1080p would take 1 ms."""
    height, width = picture.shape[:2]
    step = max(1, min(height, width) // 72)
    coarse = cv2.resize(picture, (width // step, height // step), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(coarse, _THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)


def is_cut(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether two pictures belong to different shots."""
    change = cv2.norm(after, before, cv2.NORM_L1) / after.size
    return change > _MIN_CUT_CHANGE and _correlation(before, after) < _MAX_CUT_CORRELATION


def is_empty(small: Thumbnail) -> bool:
    """Whether a picture is uniform, with nothing to detect."""
    _, deviations = cv2.meanStdDev(small)
    return bool(deviations.max() < _MIN_DEVIATION)


def _correlation(a: Thumbnail, b: Thumbnail) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
