"""Cars, buses, trucks, bicycles and motorcycles, seen from the side, facing right."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from streamcam.demo.pen import Colour, Pen, Point, darker, lighter
from streamcam.demo.people import Person, draw_rider

PAINTS: tuple[Colour, ...] = (
    (214, 70, 64),
    (58, 110, 170),
    (238, 236, 230),
    (66, 70, 78),
    (240, 190, 74),
    (96, 150, 120),
    (150, 156, 164),
    (36, 40, 52),
    (120, 176, 200),
    (128, 52, 60),
)
TYRE: Colour = (38, 38, 42)
RIM: Colour = (190, 194, 200)
GLASS: Colour = (116, 152, 172)
LAMP: Colour = (255, 244, 200)
TAIL_LAMP: Colour = (206, 48, 44)
METAL: Colour = (150, 154, 160)

_CAR_SIZES: dict[str, tuple[float, float]] = {
    "saloon": (4.5, 1.45),
    "hatchback": (3.9, 1.5),
    "estate": (4.6, 1.66),
    "van": (4.9, 2.05),
}

# fmt: off
_BODIES: dict[str, tuple[tuple[Point, ...], tuple[Point, ...]]] = {
    "saloon": (
        ((0.0, 0.3), (0.01, 0.56), (0.04, 0.62), (0.17, 0.66), (0.29, 0.95), (0.34, 1.0),
         (0.53, 1.0), (0.58, 0.96), (0.71, 0.67), (0.92, 0.58), (0.98, 0.5), (1.0, 0.34),
         (0.985, 0.2), (0.02, 0.2)),
        ((0.22, 0.67), (0.315, 0.91), (0.54, 0.92), (0.665, 0.67)),
    ),
    "hatchback": (
        ((0.0, 0.3), (0.0, 0.56), (0.03, 0.68), (0.1, 0.94), (0.16, 1.0), (0.5, 1.0),
         (0.57, 0.95), (0.73, 0.67), (0.94, 0.58), (0.99, 0.48), (1.0, 0.3), (0.98, 0.2),
         (0.02, 0.2)),
        ((0.09, 0.68), (0.155, 0.92), (0.51, 0.92), (0.68, 0.68)),
    ),
    "estate": (
        ((0.0, 0.3), (0.0, 0.6), (0.03, 0.95), (0.07, 1.0), (0.56, 1.0), (0.62, 0.95),
         (0.74, 0.66), (0.94, 0.6), (0.99, 0.5), (1.0, 0.32), (0.98, 0.22), (0.02, 0.22)),
        ((0.06, 0.66), (0.085, 0.92), (0.565, 0.92), (0.69, 0.66)),
    ),
    "van": (
        ((0.0, 0.2), (0.0, 0.93), (0.03, 1.0), (0.66, 1.0), (0.74, 0.97), (0.86, 0.62),
         (0.97, 0.52), (1.0, 0.4), (1.0, 0.22), (0.98, 0.16), (0.02, 0.16)),
        ((0.6, 0.6), (0.6, 0.9), (0.715, 0.9), (0.82, 0.6)),
    ),
}
# fmt: on
"""Body and windows of each kind, x in lengths from the rear, y in heights from the ground."""


@dataclass(frozen=True)
class Vehicle:
    """How a vehicle looks."""

    kind: str  # "car", "bus", "truck", "bicycle" or "motorcycle"
    body: str  # A car's form, one of the outlines above
    length: float  # in metres
    height: float  # in metres, without a rider
    paint: Colour  # its main colour
    trim: Colour  # its second colour
    rider: Person | None = None  # who rides it, on two wheels

    @classmethod
    def random(cls, random: np.random.Generator, kind: str) -> "Vehicle":
        body = str(random.choice(["saloon", "hatchback", "hatchback", "estate", "van"]))
        length, height = {
            "car": _CAR_SIZES[body],
            "bus": (float(random.uniform(8.0, 9.5)), 2.9),
            "truck": (float(random.uniform(6.2, 7.6)), 2.8),
            "bicycle": (1.72, 1.02),
            "motorcycle": (2.05, 1.12),
        }[kind]
        paint, trim = random.choice(len(PAINTS), 2, replace=False)
        rider = Person.random(random) if kind in ("bicycle", "motorcycle") else None
        return cls(kind, body, length, height, PAINTS[paint], PAINTS[trim], rider)


def draw_vehicle(pen: Pen, vehicle: Vehicle, distance: float) -> None:
    """Draw a vehicle after `distance` metres; x = 0 is its middle, riders are drawn apart."""
    {
        "car": _draw_car,
        "bus": _draw_bus,
        "truck": _draw_truck,
        "bicycle": _draw_bicycle,
        "motorcycle": _draw_motorcycle,
    }[vehicle.kind](pen, vehicle, distance)


def draw_rider_of(pen: Pen, vehicle: Vehicle, distance: float) -> None:
    assert vehicle.rider is not None
    if vehicle.kind == "bicycle":
        crank = -distance / 0.75
        draw_rider(
            pen,
            vehicle.rider,
            crank,
            (-0.22, 0.98),
            (0.4, 1.02),
            (0.0, 0.3),
            0.16,
            helmet=vehicle.trim if vehicle.trim[0] % 4 else None,
        )
    else:
        draw_rider(
            pen,
            vehicle.rider,
            0.0,
            (-0.3, 0.86),
            (0.38, 1.08),
            (0.05, 0.36),
            0.0,
            helmet=vehicle.trim,
        )


def _draw_car(pen: Pen, car: Vehicle, distance: float) -> None:
    outline, glass = _BODIES[car.body]
    pen.polygon(_fitted(car, outline), car.paint)
    low = [(0.01, 0.34), (0.995, 0.34), (0.985, 0.2), (0.02, 0.2)]
    pen.polygon(_fitted(car, low), darker(car.paint, 0.82))
    pen.polygon(_fitted(car, glass), GLASS)
    left, right = glass[1][0], glass[2][0]
    shine = [
        (left + 0.03, glass[1][1]),
        (left + 0.07, glass[1][1]),
        (left + 0.03, glass[0][1]),
        (left - 0.01, glass[0][1]),
    ]
    pen.polygon(_fitted(car, shine), lighter(GLASS, 0.35))
    if car.body != "van":
        middle = (left + right) / 2
        pen.polygon(
            _fitted(
                car,
                [
                    (middle - 0.012, 0.94),
                    (middle + 0.012, 0.94),
                    (middle + 0.012, 0.64),
                    (middle - 0.012, 0.64),
                ],
            ),
            car.paint,
        )
        pen.line(
            _fitted(car, [(middle + 0.02, 0.64), (middle + 0.03, 0.3)]),
            0.02,
            darker(car.paint, 0.78),
        )
        pen.line(
            _fitted(car, [(middle - 0.12, 0.58), (middle - 0.07, 0.58)]),
            0.03,
            darker(car.paint, 0.7),
        )
    front = 0.5 if car.body != "van" else 0.42
    pen.oval((0.475 * car.length, front * car.height), (0.11, 0.08), LAMP)
    pen.oval((-0.485 * car.length, 0.52 * car.height), (0.06, 0.11), TAIL_LAMP)
    for x in (-0.3, 0.31):
        _wheel(pen, (x * car.length, 0.33), 0.33, distance, arch=darker(car.paint, 0.55))


def _draw_bus(pen: Pen, bus: Vehicle, distance: float) -> None:
    half, top = bus.length / 2, bus.height
    pen.polygon(_rounded(-half, 0.32, half, top, 0.22), bus.paint)
    pen.polygon(_rounded(-half, 0.32, half, 0.85, 0.12), bus.trim)
    count = int(bus.length / 1.35)
    width = (bus.length - 1.6) / count
    for index in range(count):
        left = -half + 0.25 + index * width
        pen.polygon(_rounded(left, 1.35, left + width - 0.14, 2.35, 0.08), GLASS)
    pen.polygon(_rounded(half - 1.2, 0.45, half - 0.5, 2.4, 0.06), lighter(GLASS, 0.15))
    pen.line([(half - 0.85, 0.5), (half - 0.85, 2.35)], 0.05, darker(bus.paint))
    pen.polygon(_rounded(half - 0.38, 1.2, half + 0.01, 2.4, 0.1), GLASS)
    pen.polygon(_rounded(half - 2.6, 2.48, half - 1.3, 2.75, 0.05), (48, 46, 40))
    pen.line([(half - 2.4, 2.61), (half - 1.5, 2.61)], 0.08, (250, 190, 80))
    pen.oval((half - 0.1, 0.72), (0.1, 0.1), LAMP)
    pen.oval((-half + 0.06, 0.95), (0.06, 0.14), TAIL_LAMP)
    for x in (-half * 0.56, half * 0.56):
        _wheel(pen, (x, 0.46), 0.46, distance, arch=darker(bus.trim, 0.5))


def _draw_truck(pen: Pen, truck: Vehicle, distance: float) -> None:
    half, top = truck.length / 2, truck.height
    cab = half - 1.75
    pen.polygon(
        [(-half + 0.1, 0.45), (half - 0.05, 0.45), (half - 0.05, 0.75), (-half + 0.1, 0.75)],
        (58, 58, 64),
    )
    pen.polygon(_rounded(-half, 0.72, cab - 0.12, top + 0.25, 0.06), truck.trim)
    pen.polygon(
        [(-half + 0.02, 1.25), (cab - 0.14, 1.55), (cab - 0.14, 1.85), (-half + 0.02, 1.55)],
        truck.paint,
    )
    pen.line([(-half, 0.74), (cab - 0.12, 0.74)], 0.06, darker(truck.trim, 0.7))
    pen.polygon(
        [
            (cab, 0.42),
            (cab, 2.35),
            (cab + 0.15, 2.5),
            (half - 0.55, 2.5),
            (half - 0.3, 2.35),
            (half - 0.04, 1.4),
            (half, 1.25),
            (half, 0.42),
        ],
        truck.paint,
    )
    pen.polygon(
        [(cab + 0.5, 1.45), (cab + 0.5, 2.2), (half - 0.48, 2.2), (half - 0.22, 1.45)], GLASS
    )
    pen.line([(cab + 0.42, 2.3), (cab + 0.42, 0.6)], 0.04, darker(truck.paint, 0.75))
    pen.oval((half - 0.08, 0.75), (0.09, 0.12), LAMP)
    pen.oval((-half + 0.06, 0.62), (0.06, 0.08), TAIL_LAMP)
    for x in (-half + 1.1, half - 0.95):
        _wheel(pen, (x, 0.46), 0.46, distance, arch=(48, 48, 52))


def _draw_bicycle(pen: Pen, bicycle: Vehicle, distance: float) -> None:
    rear, front, pedals = (-0.52, 0.34), (0.52, 0.34), (0.0, 0.3)
    saddle, head = (-0.2, 0.82), (0.38, 0.86)
    for centre in (rear, front):
        _spokes(pen, centre, 0.31, -distance / 0.34)
        pen.ring(centre, 0.32, 0.045, TYRE)
    for a, b in (
        (pedals, saddle),
        (saddle, head),
        (head, pedals),
        (rear, pedals),
        (rear, saddle),
        (head, front),
    ):
        pen.line([a, b], 0.05, bicycle.paint)
    pen.line([saddle, (-0.22, 0.93)], 0.04, METAL)
    pen.limb((-0.34, 0.95), (-0.1, 0.94), 0.075, 0.05, TYRE)
    pen.line([head, (0.36, 1.0), (0.44, 1.02)], 0.045, TYRE)
    pen.disc(pedals, 0.085, METAL)


def _draw_motorcycle(pen: Pen, motorcycle: Vehicle, distance: float) -> None:
    rear, front = (-0.68, 0.32), (0.7, 0.32)
    for centre in (rear, front):
        pen.disc(centre, 0.33, TYRE)
        pen.disc(centre, 0.2, METAL)
        _spokes(pen, centre, 0.19, -distance / 0.33)
    pen.line([front, (0.42, 1.0)], 0.07, METAL)
    pen.limb((-0.05, 0.45), (0.22, 0.42), 0.36, 0.32, (70, 72, 78))
    pen.limb((-0.1, 0.28), (-0.85, 0.34), 0.09, 0.12, METAL)
    pen.polygon(
        [
            (-0.95, 0.82),
            (-0.75, 0.66),
            (-0.1, 0.56),
            (0.42, 0.72),
            (0.5, 0.9),
            (0.3, 0.95),
            (0.05, 0.93),
            (-0.15, 0.8),
            (-0.5, 0.82),
        ],
        motorcycle.paint,
    )
    pen.limb((-0.65, 0.85), (-0.15, 0.83), 0.12, 0.1, TYRE)
    pen.line([(0.4, 0.98), (0.32, 1.1)], 0.06, TYRE)
    pen.oval((0.55, 0.88), (0.1, 0.11), LAMP)
    pen.limb((0.42, 0.62), (0.95, 0.6), 0.07, 0.05, motorcycle.paint)


def _wheel(pen: Pen, centre: Point, radius: float, distance: float, arch: Colour) -> None:
    pen.disc((centre[0], centre[1] + 0.04), radius * 1.16, arch)
    pen.disc(centre, radius, TYRE)
    pen.disc(centre, radius * 0.62, RIM)
    for spoke in range(5):
        angle = -distance / radius + spoke * 2 * pi / 5
        hole = (centre[0] + 0.4 * radius * cos(angle), centre[1] + 0.4 * radius * sin(angle))
        pen.disc(hole, radius * 0.12, (88, 90, 96))


def _spokes(pen: Pen, centre: Point, radius: float, angle: float) -> None:
    for spoke in range(4):
        x, y = radius * cos(angle + spoke * pi / 4), radius * sin(angle + spoke * pi / 4)
        pen.line(
            [(centre[0] - x, centre[1] - y), (centre[0] + x, centre[1] + y)], 0.008, (170, 172, 176)
        )


def _fitted(car: Vehicle, points: tuple[Point, ...] | list[Point]) -> list[Point]:
    return [((x - 0.5) * car.length, y * car.height) for x, y in points]


def _rounded(x1: float, y1: float, x2: float, y2: float, radius: float) -> list[Point]:
    corners = (
        (x2 - radius, y2 - radius, 0.0),
        (x1 + radius, y2 - radius, pi / 2),
        (x1 + radius, y1 + radius, pi),
        (x2 - radius, y1 + radius, 3 * pi / 2),
    )
    return [
        (x + radius * cos(start + step * pi / 8), y + radius * sin(start + step * pi / 8))
        for x, y, start in corners
        for step in range(5)
    ]
