"""Where tracked objects are expected, and how well a box fits: Kalman filters, in seconds.

Each track has four independent filters (R. E. Kalman 1960): the centre's x and y move with a
constant velocity, width and height stay. All noise is in proportion to the object's size and grows
with the seconds since the last frame, whatever the rate: no step stands for a frame.

A box may fit in two ways: as what keeps its course, or as what turned, stopped or started since the
last frame, which is less likely. So crossing objects keep their numbers by their velocities, and
one that turns is not lost.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Shares of the larger side that boxes of detectors jitter by: 0.02 to 0.06 on real videos, more
# where limbs move. Chosen with the other numbers here by `benchmarks/tracking.py` (street 11, 13,
# 15) and by single people and cars that stop, turn and start, at 1, 2, 5 and 15 frames a second.
_NOISE = np.array([0.08, 0.08, 0.12, 0.12])

# In mean sides a second: how fast a new object may be (a car passes its own length in half a
# second), and how much the velocity of one that keeps its course changes in a second.
_FIRST_VELOCITY = 3.0
_VELOCITY_DRIFT = 0.1

# Relative change of width and height in a second.
_SIZE_DRIFT = 0.15

# What turned, stopped or started: by how many mean sides its place may differ, and its velocity.
_TURN_PLACE = 0.5
_TURN_VELOCITY = 1.0

_TURN_COST = 5.0
"""How much less likely that is; a squared distance in standard deviations."""

_MAX_SIZE_COST = 6.0
"""A wing, a door or a neighbour that hides a part makes a box of another size, not another one."""

_SMALLEST = 4.0
"""Pixels; smaller objects jitter as much as these."""


@dataclass(slots=True)
class Motion:
    """The filters of all tracks of a source, as arrays with one row a track.

    Attributes:
        place: float64, [tracks, 4]: centre x, y, width, height, in pixels.
        velocity: float64, [tracks, 2]: of the centre, in pixels a second.
        variance: float64, [tracks, 4]: of the place.
        covariance: float64, [tracks, 2]: of the centre's place and velocity.
        velocity_variance: float64, [tracks, 2].
    """

    place: Floats
    velocity: Floats
    variance: Floats
    covariance: Floats
    velocity_variance: Floats

    @classmethod
    def begin(cls, boxes: Floats) -> "Motion":
        """The filters of new tracks, from boxes [tracks, 4] as centre x, y, width, height."""
        still = np.zeros((len(boxes), 2))
        fast = np.repeat((_FIRST_VELOCITY * _mean_side(boxes)[:, None]) ** 2, 2, axis=1)
        return cls(boxes, still, noise(boxes), still.copy(), fast)

    def advance(self, seconds: float) -> None:
        """Move all tracks on to the time of the next frame."""
        drift = (_VELOCITY_DRIFT * _mean_side(self.place)[:, None]) ** 2 * seconds
        self.place[:, :2] += self.velocity * seconds
        self.variance[:, :2] += 2 * seconds * self.covariance
        self.variance[:, :2] += seconds**2 * (self.velocity_variance + drift / 3)
        self.variance[:, 2:] += (_SIZE_DRIFT * self.place[:, 2:]) ** 2 * seconds
        self.covariance += seconds * (self.velocity_variance + drift / 2)
        self.velocity_variance += drift

    def costs(self, boxes: Floats, recent: Booleans) -> tuple[Floats, Booleans]:
        """How badly each box fits each track, and whether it fits better as one that turned.

        Args:
            boxes: [boxes, 4] as centre x, y, width, height.
            recent: [tracks], whether a track was found in the frame before: only these turn.

        Returns:
            float64 and bool, [tracks, boxes]. Costs are squared distances in standard deviations,
            more for tracks of which little is known: of two that a box fits, the known one has it.
        """
        measured = noise(boxes)[None]
        squares = (boxes[None] - self.place[:, None]) ** 2
        spread = self.variance[:, None] + measured
        sizes = np.minimum(squares[..., 2:] / spread[..., 2:], _MAX_SIZE_COST).sum(axis=2)
        squares, spread, measured = squares[..., :2], spread[..., :2], measured[..., :2]
        straight = _distance(squares, spread, measured)
        room = np.where(recent, (_TURN_PLACE * _mean_side(self.place)) ** 2, 0.0)
        turned = _distance(squares, spread + room[:, None, None], measured) + _TURN_COST
        return np.minimum(straight, turned) + sizes, turned < straight

    def correct(self, tracks: Integers, boxes: Floats, turned: Booleans) -> None:
        """Take the boxes that were found for tracks; `turned` are those that left their course."""
        side = _mean_side(self.place[tracks])[:, None] * turned[:, None]
        variance = self.variance[tracks]
        variance[:, :2] += (_TURN_PLACE * side) ** 2
        covariance = self.covariance[tracks] + _TURN_PLACE * _TURN_VELOCITY * side**2 / 2
        velocity_variance = self.velocity_variance[tracks] + (_TURN_VELOCITY * side) ** 2
        spread = variance + noise(boxes)
        gain, velocity_gain = variance / spread, covariance / spread[:, :2]
        error = boxes - self.place[tracks]
        self.place[tracks] += gain * error
        self.velocity[tracks] += velocity_gain * error[:, :2]
        self.variance[tracks] = variance * (1 - gain)
        self.covariance[tracks] = covariance * (1 - gain[:, :2])
        self.velocity_variance[tracks] = velocity_variance - velocity_gain * covariance

    def keep(self, tracks: Booleans) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[tracks])

    def extend(self, other: "Motion") -> None:
        for field in fields(self):
            both = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, np.concatenate(both))


def noise(boxes: Floats) -> Floats:
    """The variance of boxes [boxes, 4] as centre x, y, width, height that a detector gives."""
    larger = np.maximum(boxes[:, 2:].max(axis=1, initial=_SMALLEST), _SMALLEST)[:, None]
    return np.asarray((larger * _NOISE) ** 2)


def _mean_side(boxes: Floats) -> Floats:
    return np.asarray(np.maximum(boxes[:, 2:].mean(axis=1), _SMALLEST))


def _distance(squares: Floats, spread: Floats, measured: Floats) -> Floats:
    """Twice the negative logarithm of the likelihood, less that of a perfect fit."""
    return np.asarray((squares / spread + np.log(spread / measured)).sum(axis=2))
