"""Where the camera stands, and in which light."""

from dataclasses import dataclass

import numpy as np

from streamcam.demo.pen import Colour


@dataclass(frozen=True)
class Daylight:
    """The light of a time of day.

    Attributes:
        zenith: Colour of the sky at the top.
        horizon: Colour of the sky at the bottom.
        light: Factors on all other colours, per channel.
        cloud: Colour of the clouds.
        lit: Share of windows with a lamp behind them.
    """

    zenith: Colour
    horizon: Colour
    light: tuple[float, float, float]
    cloud: Colour
    lit: float


DAYLIGHTS: tuple[Daylight, ...] = (
    Daylight((134, 190, 226), (250, 226, 196), (1.0, 0.96, 0.9), (255, 240, 226), 0.1),
    Daylight((96, 168, 222), (208, 232, 242), (1.0, 1.0, 1.0), (250, 252, 255), 0.0),
    Daylight((176, 190, 202), (222, 226, 226), (0.9, 0.92, 0.95), (206, 212, 218), 0.1),
    Daylight((92, 84, 138), (246, 170, 126), (0.84, 0.74, 0.78), (214, 140, 140), 0.5),
)


@dataclass(frozen=True)
class View:
    """Where the camera stands: the ground's perspective.

    Attributes:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        horizon: Its row.
        camera: Height of the camera in metres.
        wall: Pixels a metre at the foot of the houses.
        kerb_far: Pixels a metre at the road's far edge.
        kerb_near: Pixels a metre at the road's near edge.
        front: Pixels a metre at the bottom of the picture.
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
    def random(cls, random: np.random.Generator, width: int, height: int) -> "View":
        """Return a view onto the street."""
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
        """Return the row of the ground where a metre has so many pixels."""
        return self.horizon + self.camera * scale
