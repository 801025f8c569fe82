"""The background (sky, hills, houses or a park, the ground), trees and street furniture."""

from dataclasses import dataclass
from math import pi, sin

import cv2
import numpy as np
from numpy.random import Generator

from streamcam.demo.pen import Colour, Daylight, Pen, Perspective, darker, lighter
from streamcam.types import Picture

LEAVES: tuple[Colour, ...] = (
    (98, 148, 84),
    (122, 160, 78),
    (76, 128, 88),
    (190, 150, 70),
    (206, 128, 68),
    (226, 168, 180),
)
BARK: Colour = (108, 82, 64)
IRON: Colour = (62, 68, 74)
AWNINGS: tuple[Colour, ...] = ((204, 72, 64), (62, 122, 110), (224, 168, 70), (80, 100, 150))
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
WINDOW: Colour = (150, 184, 200)
LIT_WINDOW: Colour = (255, 222, 140)


@dataclass(frozen=True)
class Prop:
    """Something that stands on a pavement and hides what passes behind it."""

    kind: str  # "tree", "lamp", "bench", "bin" or "bush"
    size: float  # height in metres
    colour: Colour  # its main colour

    @classmethod
    def random(cls, random: Generator) -> "Prop":
        kind = str(random.choice(["tree", "tree", "lamp", "bench", "bin", "bush"]))
        colours = AWNINGS if kind in ("bench", "bin") else LEAVES
        return cls(kind, float(random.uniform(3.6, 5.0)), colours[random.integers(len(colours))])


def draw_prop(pen: Pen, prop: Prop) -> None:
    if prop.kind == "tree":
        pen.rectangle(-0.5, -0.04, 0.5, 0.06, (120, 98, 80))
        draw_tree(pen, prop.colour, prop.size)
    elif prop.kind == "lamp":
        pen.limb((0.0, 0.0), (0.0, prop.size), 0.12, 0.08, IRON)
        pen.limb((0.0, 0.0), (0.0, 0.5), 0.2, 0.16, IRON)
        pen.limb((0.0, prop.size), (0.7, prop.size + 0.15), 0.07, 0.07, IRON)
        pen.limb((0.55, prop.size + 0.1), (0.95, prop.size + 0.1), 0.14, 0.1, (255, 236, 180))
    elif prop.kind == "bench":
        for x in (-0.65, 0.65):
            pen.rectangle(x - 0.05, 0.0, x + 0.05, 0.85, IRON)
        for y in (0.4, 0.6, 0.74):
            pen.limb((-0.85, y), (0.85, y), 0.09, 0.09, (158, 112, 74))
    elif prop.kind == "bin":
        pen.rectangle(-0.22, 0.05, 0.22, 0.85, darker(prop.colour, 0.7))
        pen.limb((-0.22, 0.88), (0.22, 0.88), 0.12, 0.12, darker(prop.colour, 0.5))
    else:
        pen.rectangle(-0.6, 0.0, 0.6, 0.4, (176, 164, 150))
        for x in (-0.4, 0.0, 0.4):
            pen.disc((x, 0.58), 0.3, darker(prop.colour, 0.92 + 0.08 * (x == 0)))


def draw_tree(pen: Pen, leaves: Colour, height: float) -> None:
    """Draw a tree; `height` in metres."""
    pen = pen.scaled(height)
    pen.limb((0.0, 0.0), (0.0, 0.5), 0.055, 0.035, BARK)
    pen.limb((0.0, 0.35), (0.12, 0.55), 0.03, 0.02, BARK)
    for x, y, radius, shade in (
        (-0.14, 0.6, 0.17, 0.86),
        (0.15, 0.62, 0.17, 0.86),
        (0.0, 0.55, 0.17, 0.8),
        (0.0, 0.78, 0.2, 0.97),
        (-0.1, 0.7, 0.14, 1.0),
        (0.06, 0.84, 0.11, 1.08),
    ):
        pen.disc((x, y), radius, darker(leaves, shade))


def draw_background(view: Perspective, daylight: Daylight, random: Generator) -> Picture:
    """Return the street without anything that moves or hides what moves."""
    canvas = _sky(view, daylight, random)
    backdrop = random.choice(["houses", "houses", "park"])
    _hills(canvas, view, daylight, random)
    if backdrop == "houses":
        _houses(canvas, view, daylight, random)
    else:
        _park(canvas, view, daylight, random)
    _ground(canvas, view, daylight, random)
    return canvas


def _sky(view: Perspective, daylight: Daylight, random: Generator) -> Picture:
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


def _park(canvas: Picture, view: Perspective, daylight: Daylight, random: Generator) -> None:
    foot, scale = view.row(view.wall), view.wall
    grass = LEAVES[random.integers(3)]
    pen = Pen(canvas, (0.0, foot), scale, light=daylight.light)
    pen.rectangle(-1, -1, view.width / scale + 1, 1.2, lighter(grass, 0.15))
    for x in np.sort(random.uniform(-1, view.width / scale + 1, random.integers(7, 13))):
        leaves = LEAVES[random.integers(len(LEAVES))]
        back = Pen(canvas, (x * scale, foot - scale * 0.6), scale, light=daylight.light)
        draw_tree(back, leaves, float(random.uniform(3.5, 7.0)))
    for x in np.arange(0.5, view.width / scale, 1.1):
        pen.limb((x, 0.25), (x + 0.6, 0.25), 0.8 + 0.2 * sin(7 * x), 0.8, darker(grass, 0.85))


def _hills(canvas: Picture, view: Perspective, daylight: Daylight, random: Generator) -> None:
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


def _ground(canvas: Picture, view: Perspective, daylight: Daylight, random: Generator) -> None:
    stone = (206, 198, 186) if random.random() < 0.6 else (188, 190, 194)
    asphalt = (104, 106, 114) if random.random() < 0.6 else (126, 122, 120)
    flat = Pen(canvas, (0.0, 0.0), 1.0, light=daylight.light)

    _strip(flat, view, view.wall, view.front * 1.02, stone)
    _joints(flat, view, view.wall, view.kerb_far, darker(stone, 0.88), random)
    _joints(flat, view, view.kerb_near, view.front, darker(stone, 0.9), random)
    kerb = lighter(stone, 0.35)
    _strip(flat, view, view.kerb_far, view.kerb_near, asphalt)
    _edge(flat, view, view.kerb_far, 0.12, kerb)
    _edge(flat, view, view.kerb_near, 0.1, kerb)
    _edge(flat, view, view.kerb_near * 0.985, 0.06, darker(asphalt, 0.75))
    _markings(flat, view, random)
    _grain(canvas, view, random)


def _strip(pen: Pen, view: Perspective, far: float, near: float, colour: Colour) -> None:
    pen.rectangle(-2, -view.row(far), view.width + 2, -view.row(near), colour)


def _edge(pen: Pen, view: Perspective, scale: float, width: float, colour: Colour) -> None:
    row, half = view.row(scale), width * scale / 2
    pen.rectangle(-2, -row - half, view.width + 2, -row + half, colour)


def _joints(
    pen: Pen, view: Perspective, far: float, near: float, colour: Colour, random: Generator
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


def _markings(pen: Pen, view: Perspective, random: Generator) -> None:
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


def _grain(canvas: Picture, view: Perspective, random: Generator) -> None:
    """Give the ground a little texture, which compression would otherwise flatten."""
    top = int(view.row(view.wall))
    ground = canvas[top:]
    noise = random.normal(0, 2.2, ground.shape[:2]).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.7)[..., None] * 1.6
    ground[:] = np.clip(ground + noise, 0, 255).astype(np.uint8)


def _houses(canvas: Picture, view: Perspective, daylight: Daylight, random: Generator) -> None:
    """Draw a row of houses and shops along the far pavement."""
    foot, scale = view.row(view.wall), view.wall
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


def _house(pen: Pen, width: float, daylight: Daylight, random: Generator) -> None:
    wall = WALLS[random.integers(len(WALLS))]
    floors = int(random.integers(1, 3)) + 1
    storey = float(random.uniform(2.5, 2.9))
    top = floors * storey + 0.4
    pen.rectangle(0, 0, width, top, wall)
    pen.rectangle(0, 0, width, 0.45, darker(wall, 0.8))
    roof = ROOFS[random.integers(len(ROOFS))]
    if random.random() < 0.65:
        rise, inset = float(random.uniform(1.0, 1.8)), float(random.uniform(0.3, 1.2))
        pen.polygon(
            [(-0.2, top), (width + 0.2, top), (width - inset, top + rise), (inset, top + rise)],
            roof,
        )
        x = float(random.uniform(inset, width - inset - 0.7))
        pen.rectangle(x, top + rise * 0.5, x + 0.6, top + rise + 0.7, darker(wall, 0.7))
    else:
        pen.rectangle(-0.1, top - 0.1, width + 0.1, top + 0.25, darker(wall, 0.75))
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
            pen.rectangle(middle - 0.6, 0, middle + 0.6, 2.3, lighter(wall, 0.45))
            pen.rectangle(middle - 0.47, 0, middle + 0.47, 2.15, colour)
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
    random: Generator,
) -> None:
    lit = random.random() < daylight.lit
    left, right, top = middle - width / 2, middle + width / 2, sill + height
    pen.rectangle(left - 0.1, sill - 0.1, right + 0.1, top + 0.1, lighter(wall, 0.5))
    pen.rectangle(left, sill, right, top, LIT_WINDOW if lit else WINDOW)
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
    pen.rectangle(middle - 0.04, sill, middle + 0.04, top, lighter(wall, 0.5))
    pen.rectangle(left - 0.16, sill - 0.18, right + 0.16, sill - 0.08, darker(wall, 0.72))


def _shop(pen: Pen, width: float, daylight: Daylight, random: Generator) -> None:
    colour = AWNINGS[random.integers(len(AWNINGS))]
    glass = LIT_WINDOW if daylight.lit > 0.3 else lighter(WINDOW, 0.2)
    pen.rectangle(0.15, 0.0, width - 0.15, 2.7, darker(colour, 0.62))
    door = width * (0.2 if random.random() < 0.5 else 0.8)
    pen.rectangle(0.4, 0.5, width - 0.4, 2.25, glass)
    for x in np.arange(0.8, width - 0.8, 0.55):
        goods = AWNINGS[random.integers(len(AWNINGS))]
        pen.rectangle(x, 0.5, x + 0.36, 0.5 + float(random.uniform(0.25, 0.8)), lighter(goods, 0.2))
    pen.rectangle(door - 0.62, 0.0, door + 0.62, 2.25, darker(colour, 0.62))
    pen.rectangle(door - 0.48, 0.0, door + 0.48, 2.15, darker(glass, 0.92))
    count = max(4, int(width / 0.6))
    step = (width + 0.2) / count
    for stripe in range(count):
        left = -0.1 + stripe * step
        paint = colour if stripe % 2 else (246, 240, 230)
        pen.polygon(
            [(left + 0.06, 2.95), (left + step + 0.06, 2.95), (left + step, 2.35), (left, 2.35)],
            paint,
        )
