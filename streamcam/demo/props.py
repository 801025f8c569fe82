"""Trees and street furniture."""

from dataclasses import dataclass

import numpy as np

from streamcam.demo.pen import Colour, Pen, darker

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
