"""A dog, a cat and birds."""

import itertools
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from streamcam.demo.pen import Colour, Pen, Point, darker, lighter

DOGS: tuple[Colour, ...] = (
    (150, 98, 58),
    (62, 54, 52),
    (222, 192, 146),
    (236, 230, 220),
    (112, 78, 56),
)
CATS: tuple[Colour, ...] = (
    (222, 146, 74),
    (58, 56, 60),
    (150, 150, 156),
    (240, 234, 226),
    (120, 98, 80),
)
BIRDS: tuple[Colour, ...] = ((60, 62, 72), (116, 124, 138), (240, 240, 238), (92, 74, 62))
DARK: Colour = (34, 30, 32)


@dataclass(frozen=True)
class Animal:
    """How an animal looks.

    Attributes:
        kind: "dog", "cat" or "bird".
        size: Height of the back (dog, cat) or length of the body (bird), in metres.
        coat: Its colour.
        patch: The colour of its patches, breast or collar.
        slender: Factor on its length.
        pointed: Whether its ears stand.
    """

    kind: str
    size: float
    coat: Colour
    patch: Colour
    slender: float
    pointed: bool

    @classmethod
    def random(cls, random: np.random.Generator, kind: str) -> "Animal":
        coats, low, high = {
            "dog": (DOGS, 0.42, 0.66),
            "cat": (CATS, 0.27, 0.34),
            "bird": (BIRDS, 0.38, 0.5),
        }[kind]
        coat, patch = random.choice(len(coats), 2, replace=False)
        return cls(
            kind,
            float(random.uniform(low, high)),
            coats[coat],
            coats[patch] if random.random() < 0.5 else lighter(coats[coat], 0.35),
            float(random.uniform(0.92, 1.15)),
            bool(random.random() < 0.5),
        )


def draw_animal(pen: Pen, animal: Animal, distance: float, time: float) -> None:
    """Draw a dog or a cat walking, or a bird hopping on the ground."""
    {"dog": _draw_dog, "cat": _draw_cat, "bird": _draw_standing_bird}[animal.kind](
        pen, animal, distance, time
    )


def draw_flying(pen: Pen, bird: Animal, time: float) -> None:
    """Draw a bird in flight; (0, 0) is its body."""
    s = bird.size
    flap = sin(2 * pi * 2.2 * time)
    lift = 0.55 * flap + 0.25
    far = [
        (0.12 * s, 0.06 * s),
        (-0.2 * s, 0.05 * s),
        (-0.3 * s, (0.1 + 0.85 * lift) * s),
        (0.02 * s, (0.14 + 1.0 * lift) * s),
    ]
    pen.polygon(far, darker(bird.coat, 0.75))
    pen.polygon(
        [
            (-0.36 * s, 0.03 * s),
            (-0.68 * s, 0.13 * s),
            (-0.72 * s, -0.03 * s),
            (-0.38 * s, -0.07 * s),
        ],
        darker(bird.coat, 0.85),
    )
    pen.oval((0.0, 0.0), (0.42 * s, 0.15 * s), bird.coat, tilt=0.08)
    pen.oval((0.05 * s, -0.05 * s), (0.3 * s, 0.09 * s), bird.patch, tilt=0.08)
    _bird_head(pen, bird, (0.42 * s, 0.09 * s))
    near = [
        (0.16 * s, 0.05 * s),
        (-0.22 * s, 0.03 * s),
        (-0.42 * s, (0.05 + 1.05 * lift) * s),
        (-0.1 * s, (0.1 + 1.25 * lift) * s),
    ]
    pen.polygon(near, darker(bird.coat, 0.9))


def _draw_standing_bird(pen: Pen, bird: Animal, distance: float, time: float) -> None:
    s = bird.size
    hop = 0.06 * s * abs(sin(distance * 20.0))
    peck = max(0.0, sin(1.7 * time) - 0.55) * 0.9
    for x in (-0.05, 0.07):
        pen.line([(x * s, 0.0), (x * s, 0.22 * s)], 0.04 * s, (214, 120, 70))
        pen.line([(x * s, 0.015 * s), ((x + 0.1) * s, 0.015 * s)], 0.03 * s, (214, 120, 70))
    body = (0.0, 0.37 * s + hop)
    pen.polygon(
        [
            (-0.25 * s, body[1] + 0.06 * s),
            (-0.62 * s, body[1] - 0.1 * s),
            (-0.58 * s, body[1] - 0.2 * s),
            (-0.2 * s, body[1] - 0.1 * s),
        ],
        darker(bird.coat, 0.75),
    )
    pen.oval(body, (0.36 * s, 0.2 * s), bird.coat, tilt=0.3)
    pen.oval((0.14 * s, body[1] - 0.01 * s), (0.2 * s, 0.15 * s), bird.patch, tilt=0.4)
    pen.oval((-0.1 * s, body[1] + 0.0 * s), (0.27 * s, 0.12 * s), darker(bird.coat, 0.85), tilt=0.2)
    head = (0.33 * s + 0.08 * s * peck, body[1] + 0.22 * s - 0.5 * s * peck)
    pen.limb((0.2 * s, body[1] + 0.06 * s), head, 0.2 * s, 0.14 * s, bird.coat)
    _bird_head(pen, bird, head)


def _bird_head(pen: Pen, bird: Animal, head: Point) -> None:
    s = bird.size
    pen.polygon(
        [
            (head[0] + 0.09 * s, head[1] + 0.05 * s),
            (head[0] + 0.27 * s, head[1] - 0.02 * s),
            (head[0] + 0.09 * s, head[1] - 0.05 * s),
        ],
        (232, 168, 72),
    )
    pen.disc(head, 0.125 * s, bird.coat)
    pen.disc((head[0] + 0.045 * s, head[1] + 0.03 * s), 0.03 * s, DARK)


def _draw_dog(pen: Pen, dog: Animal, distance: float, time: float) -> None:
    s, long = dog.size, 0.62 * dog.slender * dog.size
    phase = 2 * pi * distance / (1.5 * s)
    for x, turn, shade in ((-long, pi, 0.72), (long * 0.8, 0.0, 0.72)):
        _paw(pen, (x, 0.62 * s), phase + turn, s, darker(dog.coat, shade), 0.16)
    wag = 0.35 * sin(9.0 * time)
    tail = (-long - 0.1 * s, 0.86 * s)
    pen.limb(
        tail, (tail[0] - 0.3 * s, tail[1] + (0.34 + 0.12 * wag) * s), 0.13 * s, 0.07 * s, dog.coat
    )
    pen.limb((-long + 0.04 * s, 0.74 * s), (long * 0.75, 0.72 * s), 0.38 * s, 0.46 * s, dog.coat)
    pen.limb((-long * 0.4, 0.84 * s), (long * 0.1, 0.84 * s), 0.2 * s, 0.2 * s, dog.patch)
    for x, turn in ((-long, 0.0), (long * 0.8, pi)):
        _paw(pen, (x, 0.62 * s), phase + turn, s, dog.coat, 0.17)
    head = (long + 0.34 * s, 1.16 * s + 0.02 * s * sin(phase))
    pen.limb(
        (long * 0.85, 0.8 * s),
        (head[0] - 0.05 * s, head[1] - 0.05 * s),
        0.38 * s,
        0.26 * s,
        dog.coat,
    )
    pen.line(
        [(long * 0.95 + 0.03 * s, 1.02 * s), (long * 0.95 + 0.3 * s, 0.88 * s)],
        0.07 * s,
        (206, 60, 58),
    )
    pen.disc(head, 0.2 * s, dog.coat)
    pen.limb(
        (head[0] + 0.06 * s, head[1] - 0.05 * s),
        (head[0] + 0.32 * s, head[1] - 0.09 * s),
        0.2 * s,
        0.14 * s,
        dog.patch,
    )
    pen.disc((head[0] + 0.38 * s, head[1] - 0.05 * s), 0.055 * s, DARK)
    pen.disc((head[0] + 0.1 * s, head[1] + 0.05 * s), 0.032 * s, DARK)
    ear = darker(dog.coat, 0.7)
    if dog.pointed:
        pen.polygon(
            [
                (head[0] - 0.16 * s, head[1] + 0.08 * s),
                (head[0] - 0.1 * s, head[1] + 0.36 * s),
                (head[0] + 0.06 * s, head[1] + 0.15 * s),
            ],
            ear,
        )
    else:
        pen.limb(
            (head[0] - 0.09 * s, head[1] + 0.12 * s),
            (head[0] - 0.16 * s, head[1] - 0.16 * s),
            0.14 * s,
            0.15 * s,
            ear,
        )


def _draw_cat(pen: Pen, cat: Animal, distance: float, time: float) -> None:
    s, long = cat.size, 0.78 * cat.slender * cat.size
    phase = 2 * pi * distance / (1.6 * s)
    for x, turn in ((-long, pi), (long * 0.8, 0.0)):
        _paw(pen, (x, 0.62 * s), phase + turn, s, darker(cat.coat, 0.72), 0.15)
    curl = 0.12 * sin(2.0 * time)
    points = [
        (-long - 0.05 * s, 0.8 * s),
        (-long - 0.35 * s, 0.85 * s),
        (-long - 0.48 * s, 1.15 * s),
        (-long - (0.4 - curl) * s, 1.45 * s),
    ]
    for a, b in itertools.pairwise(points):
        pen.limb(a, b, 0.13 * s, 0.12 * s, cat.coat)
    pen.limb((-long, 0.76 * s), (long * 0.8, 0.76 * s), 0.46 * s, 0.42 * s, cat.coat)
    for x in (-0.55, -0.2, 0.15):
        pen.limb(
            (x * long, 0.95 * s), (x * long, 0.78 * s), 0.1 * s, 0.04 * s, darker(cat.coat, 0.75)
        )
    for x, turn in ((-long, 0.0), (long * 0.8, pi)):
        _paw(pen, (x, 0.62 * s), phase + turn, s, cat.coat, 0.16)
    head = (long + 0.32 * s, 1.02 * s)
    for x in (-0.15, 0.13):
        pen.polygon(
            [
                (head[0] + (x - 0.11) * s, head[1] + 0.12 * s),
                (head[0] + (x + 0.02) * s, head[1] + 0.42 * s),
                (head[0] + (x + 0.13) * s, head[1] + 0.12 * s),
            ],
            darker(cat.coat, 0.85),
        )
    pen.oval(head, (0.29 * s, 0.25 * s), cat.coat)
    pen.oval((head[0] + 0.16 * s, head[1] - 0.09 * s), (0.13 * s, 0.1 * s), cat.patch)
    pen.disc((head[0] + 0.25 * s, head[1] - 0.06 * s), 0.035 * s, (214, 120, 120))
    for x in (0.0, 0.19):
        pen.oval((head[0] + x * s, head[1] + 0.05 * s), (0.035 * s, 0.05 * s), (60, 90, 50))


def _paw(pen: Pen, hip: Point, phase: float, size: float, colour: Colour, width: float) -> None:
    reach = 0.3 * size * sin(phase)
    lift = 0.12 * size * max(0.0, cos(phase))
    knee = (hip[0] + 0.35 * reach - 0.05 * size, hip[1] - 0.32 * size + lift * 0.4)
    foot = (hip[0] + reach, 0.06 * size + lift)
    pen.limb(hip, knee, width * 1.3 * size, width * 0.9 * size, colour)
    pen.limb(knee, foot, width * 0.85 * size, width * 0.7 * size, colour)
    pen.limb(foot, (foot[0] + 0.08 * size, foot[1]), 0.12 * size, 0.1 * size, colour)
