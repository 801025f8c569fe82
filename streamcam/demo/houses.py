"""Houses and shops."""

import numpy as np

from streamcam.demo.pen import Colour, Pen, darker, lighter
from streamcam.demo.props import AWNINGS, LEAVES, draw_tree
from streamcam.demo.view import Daylight, View
from streamcam.types import Picture

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


def draw_houses(
    canvas: Picture, view: View, daylight: Daylight, random: np.random.Generator
) -> None:
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


def _house(pen: Pen, width: float, daylight: Daylight, random: np.random.Generator) -> None:
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
    random: np.random.Generator,
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


def _shop(pen: Pen, width: float, daylight: Daylight, random: np.random.Generator) -> None:
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
