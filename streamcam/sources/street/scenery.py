"""What stands still: sky, houses, trees, pavements and the road."""

from dataclasses import dataclass
from math import pi, sin

import cv2
import numpy as np

from streamcam.records import Picture
from streamcam.sources.street.pen import Colour, Pen, darker, lighter

WALLS: tuple[Colour, ...] = (
    (222, 164, 130),
    (236, 214, 178),
    (196, 118, 96),
    (172, 190, 190),
    (230, 196, 120),
    (206, 204, 196),
    (150, 168, 140),
    (214, 150, 150),
    (140, 150, 176),
)
ROOFS: tuple[Colour, ...] = ((150, 78, 62), (96, 84, 86), (120, 98, 84), (84, 98, 112))
AWNINGS: tuple[Colour, ...] = ((204, 72, 64), (62, 122, 110), (224, 168, 70), (80, 100, 150))
LEAVES: tuple[Colour, ...] = (
    (98, 148, 84),
    (122, 160, 78),
    (76, 128, 88),
    (190, 150, 70),
    (206, 128, 68),
    (226, 168, 180),
)
BARK: Colour = (108, 82, 64)
WINDOW: Colour = (150, 184, 200)
LIT_WINDOW: Colour = (255, 222, 140)
IRON: Colour = (62, 68, 74)


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


def draw_background(view: View, daylight: Daylight, random: np.random.Generator) -> Picture:
    """Return the street without anything that moves or hides what moves."""
    canvas = _sky(view, daylight, random)
    backdrop = random.choice(["houses", "houses", "park"])
    if backdrop == "houses":
        _houses(canvas, view, daylight, random)
    else:
        _park(canvas, view, daylight, random)
    _ground(canvas, view, daylight, random)
    return canvas


def _sky(view: View, daylight: Daylight, random: np.random.Generator) -> Picture:
    share = np.clip(np.arange(view.height) / view.row(view.wall), 0, 1)[:, None]
    rows = np.array(daylight.zenith) * (1 - share) + np.array(daylight.horizon) * share
    canvas = np.repeat(rows[:, None, :], view.width, axis=1).astype(np.uint8)
    pen = Pen(canvas, (0.0, 0.0), 1.0)
    if random.random() < 0.6:
        centre = (random.uniform(0.1, 0.9) * view.width, -random.uniform(0.06, 0.2) * view.height)
        for radius, share_of_light in ((0.09, 0.25), (0.06, 0.75)):
            pen.disc(centre, radius * view.height, lighter(daylight.horizon, share_of_light))
    for _ in range(random.integers(2, 6)):
        x, y = random.uniform(0, view.width), -random.uniform(0.03, 0.25) * view.height
        size = view.height * random.uniform(0.025, 0.05)
        for offset, radius in ((-1.5, 0.6), (-0.6, 0.95), (0.5, 1.15), (1.5, 0.7)):
            pen.oval(
                (x + offset * size, y + 0.35 * radius * size),
                (1.1 * radius * size, 0.62 * radius * size),
                daylight.cloud,
            )
    return canvas


def _houses(canvas: Picture, view: View, daylight: Daylight, random: np.random.Generator) -> None:
    foot, scale = view.row(view.wall), view.wall
    _hills(canvas, view, daylight, random)
    left = -random.uniform(0.0, 3.0)
    while left * scale < view.width:
        width = float(random.uniform(4.5, 8.5))
        pen = Pen(canvas, (left * scale, foot), scale, light=daylight.light)
        _house(pen, width, daylight, random)
        left += width
        if random.random() < 0.25:
            gap = float(random.uniform(1.5, 3.0))
            pen = Pen(canvas, ((left + gap / 2) * scale, foot), scale, light=daylight.light)
            draw_tree(pen, LEAVES[random.integers(len(LEAVES))], float(random.uniform(3.0, 5.0)))
            left += gap


def _house(pen: Pen, width: float, daylight: Daylight, random: np.random.Generator) -> None:
    wall = WALLS[random.integers(len(WALLS))]
    floors = int(random.integers(1, 3)) + 1
    storey = float(random.uniform(2.5, 2.9))
    top = floors * storey + 0.4
    _rectangle(pen, 0, 0, width, top, wall)
    _rectangle(pen, 0, 0, width, 0.45, darker(wall, 0.8))
    roof = ROOFS[random.integers(len(ROOFS))]
    if random.random() < 0.65:
        rise, inset = float(random.uniform(1.0, 1.8)), float(random.uniform(0.3, 1.2))
        pen.polygon(
            [(-0.2, top), (width + 0.2, top), (width - inset, top + rise), (inset, top + rise)],
            roof,
        )
        x = float(random.uniform(inset, width - inset - 0.7))
        _rectangle(pen, x, top + rise * 0.5, x + 0.6, top + rise + 0.7, darker(wall, 0.7))
    else:
        _rectangle(pen, -0.1, top - 0.1, width + 0.1, top + 0.25, darker(wall, 0.75))
    columns = int(width // 1.7)
    step = width / columns
    for floor in range(1, floors):
        for column in range(columns):
            _window(
                pen, (column + 0.5) * step, floor * storey + 0.9, 0.85, 1.3, wall, daylight, random
            )
    if random.random() < 0.45:
        _shop(pen, width, daylight, random)
        return
    door = int(random.integers(columns))
    for column in range(columns):
        middle = (column + 0.5) * step
        if column == door:
            colour = AWNINGS[random.integers(len(AWNINGS))]
            _rectangle(pen, middle - 0.6, 0, middle + 0.6, 2.3, lighter(wall, 0.45))
            _rectangle(pen, middle - 0.47, 0, middle + 0.47, 2.15, colour)
            pen.disc((middle + 0.32, 1.0), 0.07, (240, 214, 140))
        else:
            _window(pen, middle, 0.9, 0.95, 1.25, wall, daylight, random)


def _window(
    pen: Pen,
    middle: float,
    sill: float,
    width: float,
    height: float,
    wall: Colour,
    daylight: Daylight,
    random: np.random.Generator,
) -> None:
    lit = random.random() < daylight.lit
    left, right, top = middle - width / 2, middle + width / 2, sill + height
    _rectangle(pen, left - 0.1, sill - 0.1, right + 0.1, top + 0.1, lighter(wall, 0.5))
    _rectangle(pen, left, sill, right, top, LIT_WINDOW if lit else WINDOW)
    if not lit:
        pen.polygon(
            [
                (left, sill),
                (left + width * 0.35, sill),
                (left + width * 0.8, top),
                (left + width * 0.45, top),
            ],
            lighter(WINDOW, 0.3),
        )
    _rectangle(pen, middle - 0.04, sill, middle + 0.04, top, lighter(wall, 0.5))
    _rectangle(pen, left - 0.16, sill - 0.18, right + 0.16, sill - 0.08, darker(wall, 0.72))


def _shop(pen: Pen, width: float, daylight: Daylight, random: np.random.Generator) -> None:
    colour = AWNINGS[random.integers(len(AWNINGS))]
    glass = LIT_WINDOW if daylight.lit > 0.3 else lighter(WINDOW, 0.2)
    _rectangle(pen, 0.15, 0.0, width - 0.15, 2.7, darker(colour, 0.62))
    door = width * (0.2 if random.random() < 0.5 else 0.8)
    _rectangle(pen, 0.4, 0.5, width - 0.4, 2.25, glass)
    for x in np.arange(0.8, width - 0.8, 0.55):
        goods = AWNINGS[random.integers(len(AWNINGS))]
        _rectangle(
            pen, x, 0.5, x + 0.36, 0.5 + float(random.uniform(0.25, 0.8)), lighter(goods, 0.2)
        )
    _rectangle(pen, door - 0.62, 0.0, door + 0.62, 2.25, darker(colour, 0.62))
    _rectangle(pen, door - 0.48, 0.0, door + 0.48, 2.15, darker(glass, 0.92))
    count = max(4, int(width / 0.6))
    step = (width + 0.2) / count
    for stripe in range(count):
        left = -0.1 + stripe * step
        paint = colour if stripe % 2 else (246, 240, 230)
        pen.polygon(
            [(left + 0.06, 2.95), (left + step + 0.06, 2.95), (left + step, 2.35), (left, 2.35)],
            paint,
        )


def _park(canvas: Picture, view: View, daylight: Daylight, random: np.random.Generator) -> None:
    _hills(canvas, view, daylight, random)
    foot, scale = view.row(view.wall), view.wall
    grass = LEAVES[random.integers(3)]
    pen = Pen(canvas, (0.0, foot), scale, light=daylight.light)
    _rectangle(pen, -1, -1, view.width / scale + 1, 1.2, lighter(grass, 0.15))
    for x in np.sort(random.uniform(-1, view.width / scale + 1, random.integers(7, 13))):
        leaves = LEAVES[random.integers(len(LEAVES))]
        back = Pen(canvas, (x * scale, foot - scale * 0.6), scale, light=daylight.light)
        draw_tree(back, leaves, float(random.uniform(3.5, 7.0)))
    for x in np.arange(0.5, view.width / scale, 1.1):
        pen.limb((x, 0.25), (x + 0.6, 0.25), 0.8 + 0.2 * sin(7 * x), 0.8, darker(grass, 0.85))


def _hills(canvas: Picture, view: View, daylight: Daylight, random: np.random.Generator) -> None:
    foot = view.row(view.wall)
    for depth in (0.55, 0.3):
        colour = np.array(daylight.horizon) * depth + np.array(LEAVES[2]) * (1 - depth)
        x = np.linspace(0, view.width, 40)
        waves = random.uniform(0, 2 * pi, 2)
        rise = view.height * (0.1 + 0.12 * depth)
        ridge = foot - rise * (
            1
            + 0.3 * np.sin(x / view.width * 5 + waves[0])
            + 0.15 * np.sin(x / view.width * 11 + waves[1])
        )
        outline = [(0.0, -foot), *zip(x, -ridge, strict=True), (float(view.width), -foot)]
        Pen(canvas, (0.0, 0.0), 1.0, light=daylight.light).polygon(
            outline, (int(colour[0]), int(colour[1]), int(colour[2]))
        )


def _ground(canvas: Picture, view: View, daylight: Daylight, random: np.random.Generator) -> None:
    stone = (206, 198, 186) if random.random() < 0.6 else (188, 190, 194)
    asphalt = (104, 106, 114) if random.random() < 0.6 else (126, 122, 120)
    flat = Pen(canvas, (0.0, 0.0), 1.0, light=daylight.light)

    def band(near: float, far: float, colour: Colour) -> None:
        flat.polygon(
            [
                (-2, -view.row(far)),
                (view.width + 2, -view.row(far)),
                (view.width + 2, -view.row(near)),
                (-2, -view.row(near)),
            ],
            colour,
        )

    band(view.front * 1.02, view.wall, stone)
    _joints(flat, view, view.wall, view.kerb_far, darker(stone, 0.88), random)
    _joints(flat, view, view.kerb_near, view.front, darker(stone, 0.9), random)
    kerb = lighter(stone, 0.35)
    band(view.kerb_near, view.kerb_far, asphalt)
    flat.polygon(_line_of(view, view.kerb_far, 0.12), kerb)
    flat.polygon(_line_of(view, view.kerb_near, 0.1), kerb)
    flat.polygon(_line_of(view, view.kerb_near * 0.985, 0.06), darker(asphalt, 0.75))
    _markings(flat, view, random)
    _grain(canvas, view, random)


def _line_of(view: View, scale: float, width: float) -> list[tuple[float, float]]:
    row, half = view.row(scale), width * scale / 2
    return [
        (-2, -row - half),
        (view.width + 2, -row - half),
        (view.width + 2, -row + half),
        (-2, -row + half),
    ]


def _joints(
    pen: Pen, view: View, far: float, near: float, colour: Colour, random: np.random.Generator
) -> None:
    middle = view.width * random.uniform(0.3, 0.7)
    tiles = int(view.width / far / 1.2 / 2) + 4
    for x in (np.arange(-tiles, tiles) + 0.5) * 1.2:
        pen.line(
            [(middle + x * far, -view.row(far)), (middle + x * near, -view.row(near))], 1.0, colour
        )
    depths = np.linspace(1 / far, 1 / near, 6)[1:-1]
    for depth in depths:
        row = view.row(1 / depth)
        pen.line([(0.0, -row), (float(view.width), -row)], 1.0, colour)


def _markings(pen: Pen, view: View, random: np.random.Generator) -> None:
    centre = 2 / (1 / view.kerb_far + 1 / view.kerb_near)
    near, far = centre * 1.015, centre * 0.985
    middle = view.width * random.uniform(0.3, 0.7)
    for x in np.arange(-40.0, 40.0, 4.5):
        pen.polygon(
            [
                (middle + x * far, -view.row(far)),
                (middle + (x + 2) * far, -view.row(far)),
                (middle + (x + 2) * near, -view.row(near)),
                (middle + x * near, -view.row(near)),
            ],
            (238, 234, 222),
        )
    if random.random() < 0.4:
        left = float(random.uniform(-0.3, 0.2)) * view.width / view.kerb_near
        for stripe in range(6):
            a, b = left + stripe * 1.0, left + stripe * 1.0 + 0.5
            near, far = view.kerb_near * 0.96, view.kerb_far * 1.03
            pen.polygon(
                [
                    (middle + a * far, -view.row(far)),
                    (middle + b * far, -view.row(far)),
                    (middle + b * near, -view.row(near)),
                    (middle + a * near, -view.row(near)),
                ],
                (232, 230, 222),
            )


def _grain(canvas: Picture, view: View, random: np.random.Generator) -> None:
    """Give the ground a little texture, so that it is no mirror of compression."""
    top = int(view.row(view.wall))
    ground = canvas[top:]
    noise = random.normal(0, 2.2, ground.shape[:2]).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.7)[..., None] * 1.6
    ground[:] = np.clip(ground + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Prop:
    """Something that stands on a pavement and hides what passes behind it.

    Attributes:
        kind: "tree", "lamp", "bench", "bin" or "bush".
        size: Height in metres.
        colour: Its main colour.
    """

    kind: str
    size: float
    colour: Colour

    @classmethod
    def random(cls, random: np.random.Generator) -> "Prop":
        """Return some piece of street furniture."""
        kind = str(random.choice(["tree", "tree", "lamp", "bench", "bin", "bush"]))
        colours = AWNINGS if kind in ("bench", "bin") else LEAVES
        return cls(kind, float(random.uniform(3.6, 5.0)), colours[random.integers(len(colours))])


def draw_prop(pen: Pen, prop: Prop) -> None:
    """Draw a piece of street furniture."""
    if prop.kind == "tree":
        _rectangle(pen, -0.5, -0.04, 0.5, 0.06, (120, 98, 80))
        draw_tree(pen, prop.colour, prop.size)
    elif prop.kind == "lamp":
        pen.limb((0.0, 0.0), (0.0, prop.size), 0.12, 0.08, IRON)
        pen.limb((0.0, 0.0), (0.0, 0.5), 0.2, 0.16, IRON)
        pen.limb((0.0, prop.size), (0.7, prop.size + 0.15), 0.07, 0.07, IRON)
        pen.limb((0.55, prop.size + 0.1), (0.95, prop.size + 0.1), 0.14, 0.1, (255, 236, 180))
    elif prop.kind == "bench":
        for x in (-0.65, 0.65):
            _rectangle(pen, x - 0.05, 0.0, x + 0.05, 0.85, IRON)
        for y in (0.4, 0.6, 0.74):
            pen.limb((-0.85, y), (0.85, y), 0.09, 0.09, (158, 112, 74))
    elif prop.kind == "bin":
        _rectangle(pen, -0.22, 0.05, 0.22, 0.85, darker(prop.colour, 0.7))
        pen.limb((-0.22, 0.88), (0.22, 0.88), 0.12, 0.12, darker(prop.colour, 0.5))
    else:
        _rectangle(pen, -0.6, 0.0, 0.6, 0.4, (176, 164, 150))
        for x in (-0.4, 0.0, 0.4):
            pen.disc((x, 0.58), 0.3, darker(prop.colour, 0.92 + 0.08 * (x == 0)))


def draw_tree(pen: Pen, leaves: Colour, height: float) -> None:
    """Draw a tree of so many metres."""
    h = height
    pen.limb((0.0, 0.0), (0.0, 0.5 * h), 0.055 * h, 0.035 * h, BARK)
    pen.limb((0.0, 0.35 * h), (0.12 * h, 0.55 * h), 0.03 * h, 0.02 * h, BARK)
    for x, y, radius, shade in (
        (-0.14, 0.6, 0.17, 0.86),
        (0.15, 0.62, 0.17, 0.86),
        (0.0, 0.55, 0.17, 0.8),
        (0.0, 0.78, 0.2, 0.97),
        (-0.1, 0.7, 0.14, 1.0),
        (0.06, 0.84, 0.11, 1.08),
    ):
        pen.disc((x * h, y * h), radius * h, darker(leaves, shade))


def _rectangle(pen: Pen, x1: float, y1: float, x2: float, y2: float, colour: Colour) -> None:
    pen.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)
