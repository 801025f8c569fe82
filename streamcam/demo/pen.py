"""Drawing tools: a pen for flat, anti-aliased shapes in metres, the perspective and the light.

Local coordinates: x forwards (the way that the figure faces), y upwards, (0, 0) on the ground.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from math import atan2, cos, pi, sin
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
Points: TypeAlias = Sequence[Point] | npt.NDArray[np.float64]

SHIFT = 4  # bits below the pixel: OpenCV draws on a grid of a sixteenth of a pixel

_ANGLES = np.linspace(0, 2 * pi, 24, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_HALF_ANGLES = np.linspace(pi / 2, 3 * pi / 2, 9)
_BACK = np.stack([np.cos(_HALF_ANGLES), np.sin(_HALF_ANGLES)], axis=1)


class Pen:
    """Draws one figure on a canvas.

    Args:
        canvas: Array to draw on, uint8, [height, width, 3], or [height, width] with `ink`.
        origin: Pixel coordinates of the figure's (0, 0).
        scale: Pixels per metre.
        facing: 1 to the right, -1 to the left.
        light: Factors that colour the light, per channel.
        ink: Draw everything with this one value (a silhouette) instead of the shapes' colours.
    """

    def __init__(
        self,
        canvas: npt.NDArray[np.uint8],
        origin: Point,
        scale: float,
        *,
        facing: int = 1,
        light: Sequence[float] = (1.0, 1.0, 1.0),
        ink: int | None = None,
    ) -> None:
        self._canvas = canvas
        # A pixel's centre is at .5 here, and at .0 for OpenCV.
        self._origin = (np.array(origin) - 0.5) * (1 << SHIFT)
        self._scale = np.array([facing * scale, -scale]) * (1 << SHIFT)
        self._pixels = scale
        self._light = light
        self._ink = ink
        # Blended edges would turn one ink into another.
        self._edge = cv2.LINE_AA if ink is None else cv2.LINE_8
        self._touched: list[npt.NDArray[np.int32]] = []

    def scaled(self, factor: float) -> "Pen":
        """Return this pen for shapes in units of `factor` metres; they count in the same `box`."""
        pen = copy(self)
        pen._scale, pen._pixels = self._scale * factor, self._pixels * factor  # noqa: SLF001
        return pen

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The extent of all that was drawn: x1, y1, x2, y2 in pixels of the canvas."""
        touched = np.concatenate(self._touched)
        low = touched.min(axis=0) / (1 << SHIFT) + 0.5
        high = touched.max(axis=0) / (1 << SHIFT) + 0.5
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def polygon(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self._canvas, [self._place(points)], self._colour(colour), self._edge, SHIFT)

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, colour: Colour) -> None:
        self.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)

    def limb(self, a: Point, b: Point, width_a: float, width_b: float, colour: Colour) -> None:
        """Fill a rounded bar from a to b that may taper."""
        angle = atan2(b[1] - a[1], b[0] - a[0])
        turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
        back = _BACK @ turn
        outline = np.concatenate([back * (width_a / 2) + a, back * (-width_b / 2) + b])
        self._convex(outline, colour)

    def oval(self, centre: Point, radii: Point, colour: Colour, tilt: float = 0.0) -> None:
        """Fill an ellipse, turned by `tilt` radians."""
        turn = np.array([[cos(tilt), sin(tilt)], [-sin(tilt), cos(tilt)]])
        self._convex((_CIRCLE * radii) @ turn + centre, colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        self._convex(_CIRCLE * radius + centre, colour)

    def ring(self, centre: Point, radius: float, width: float, colour: Colour) -> None:
        self.line([*(_CIRCLE * radius + centre), _CIRCLE[0] * radius + centre], width, colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        thickness = max(1, round(width * self._pixels))
        placed = self._place(points)
        margin = int(width * self._pixels * (1 << SHIFT) / 2)
        self._touched += [placed - margin, placed + margin]
        cv2.polylines(
            self._canvas, [placed], False, self._colour(colour), thickness, self._edge, SHIFT
        )

    def _convex(self, points: Points, colour: Colour) -> None:
        cv2.fillConvexPoly(
            self._canvas, self._place(points), self._colour(colour), self._edge, SHIFT
        )

    def _place(self, points: Points) -> npt.NDArray[np.int32]:
        scaled = np.asarray(points) * self._scale + self._origin
        placed: npt.NDArray[np.int32] = scaled.astype(np.int32)
        self._touched.append(placed)
        return placed

    def _colour(self, colour: Colour) -> Sequence[float]:
        if self._ink is not None:
            return (self._ink,)
        return [c * f for c, f in zip(colour, self._light, strict=True)]


def darker(colour: Colour, factor: float = 0.8) -> Colour:
    return tuple(int(c * factor) for c in colour)  # type: ignore[return-value]


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    return tuple(int(c + (255 - c) * share) for c in colour)  # type: ignore[return-value]


@dataclass(frozen=True)
class Daylight:
    """The light of a time of day."""

    zenith: Colour
    horizon: Colour
    light: tuple[float, float, float]  # factors on all other colours, per channel
    cloud: Colour
    lit: float  # share of windows with a lamp behind them


DAYLIGHTS: tuple[Daylight, ...] = (
    Daylight((134, 190, 226), (250, 226, 196), (1.0, 0.96, 0.9), (255, 240, 226), 0.1),
    Daylight((96, 168, 222), (208, 232, 242), (1.0, 1.0, 1.0), (250, 252, 255), 0.0),
    Daylight((176, 190, 202), (222, 226, 226), (0.9, 0.92, 0.95), (206, 212, 218), 0.1),
    Daylight((92, 84, 138), (246, 170, 126), (0.84, 0.74, 0.78), (214, 140, 140), 0.5),
)


@dataclass(frozen=True)
class Perspective:
    """The ground as seen from where the camera stands.

    Attributes:
        width, height: Of the picture, in pixels.
        horizon: Its row.
        camera: Height of the camera in metres.
        wall, kerb_far, kerb_near, front: Pixels per metre at the foot of the houses, at the road's
            two edges, and at the bottom of the picture.
    """

    width: int
    height: int
    horizon: float
    camera: float
    wall: float
    kerb_far: float
    kerb_near: float
    front: float

    @classmethod
    def random(cls, random: np.random.Generator, width: int, height: int) -> "Perspective":
        horizon = height * random.uniform(0.34, 0.44)
        front = height * random.uniform(0.19, 0.29)
        wall = front * random.uniform(0.24, 0.31)
        road = front - wall
        return cls(
            width,
            height,
            horizon,
            (height - horizon) / front,
            wall,
            wall + road * random.uniform(0.1, 0.14),
            wall + road * random.uniform(0.52, 0.6),
            front,
        )

    def row(self, scale: float) -> float:
        """Return the row of the ground where a metre has `scale` pixels."""
        return self.horizon + self.camera * scale
