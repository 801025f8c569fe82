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
    """How an animal looks."""

    kind: str  # "dog", "cat" or "bird"
    size: float  # height of the back (dog, cat) or length of the body (bird), in metres
    coat: Colour  # its colour
    patch: Colour  # the colour of its patches, breast or collar
    slender: float  # factor on its length
    pointed: bool  # whether its ears stand

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
    draw = {"dog": _draw_dog, "cat": _draw_cat, "bird": _draw_standing_bird}[animal.kind]
    draw(pen.scaled(animal.size), animal, distance, time)


def draw_flying(pen: Pen, bird: Animal, time: float) -> None:
    """Draw a bird in flight; (0, 0) is its body."""
    pen = pen.scaled(bird.size)
    flap = sin(2 * pi * 2.2 * time)
    lift = 0.55 * flap + 0.25
    far = [(0.12, 0.06), (-0.2, 0.05), (-0.3, 0.1 + 0.85 * lift), (0.02, 0.14 + lift)]
    pen.polygon(far, darker(bird.coat, 0.75))
    pen.polygon(
        [(-0.36, 0.03), (-0.68, 0.13), (-0.72, -0.03), (-0.38, -0.07)], darker(bird.coat, 0.85)
    )
    pen.oval((0.0, 0.0), (0.42, 0.15), bird.coat, tilt=0.08)
    pen.oval((0.05, -0.05), (0.3, 0.09), bird.patch, tilt=0.08)
    _bird_head(pen, bird, (0.42, 0.09))
    near = [(0.16, 0.05), (-0.22, 0.03), (-0.42, 0.05 + 1.05 * lift), (-0.1, 0.1 + 1.25 * lift)]
    pen.polygon(near, darker(bird.coat, 0.9))


def _draw_standing_bird(pen: Pen, bird: Animal, distance: float, time: float) -> None:
    hop = 0.06 * abs(sin(distance * 20.0))
    peck = max(0.0, sin(1.7 * time) - 0.55) * 0.9
    for x in (-0.05, 0.07):
        pen.line([(x, 0.0), (x, 0.22)], 0.04, (214, 120, 70))
        pen.line([(x, 0.015), (x + 0.1, 0.015)], 0.03, (214, 120, 70))
    body = (0.0, 0.37 + hop)
    pen.polygon(
        [
            (-0.25, body[1] + 0.06),
            (-0.62, body[1] - 0.1),
            (-0.58, body[1] - 0.2),
            (-0.2, body[1] - 0.1),
        ],
        darker(bird.coat, 0.75),
    )
    pen.oval(body, (0.36, 0.2), bird.coat, tilt=0.3)
    pen.oval((0.14, body[1] - 0.01), (0.2, 0.15), bird.patch, tilt=0.4)
    pen.oval((-0.1, body[1]), (0.27, 0.12), darker(bird.coat, 0.85), tilt=0.2)
    head = (0.33 + 0.08 * peck, body[1] + 0.22 - 0.5 * peck)
    pen.limb((0.2, body[1] + 0.06), head, 0.2, 0.14, bird.coat)
    _bird_head(pen, bird, head)


def _bird_head(pen: Pen, bird: Animal, head: Point) -> None:
    pen.polygon(
        [
            (head[0] + 0.09, head[1] + 0.05),
            (head[0] + 0.27, head[1] - 0.02),
            (head[0] + 0.09, head[1] - 0.05),
        ],
        (232, 168, 72),
    )
    pen.disc(head, 0.125, bird.coat)
    pen.disc((head[0] + 0.045, head[1] + 0.03), 0.03, DARK)


def _draw_dog(pen: Pen, dog: Animal, distance: float, time: float) -> None:
    long = 0.62 * dog.slender
    phase = 2 * pi * distance / (1.5 * dog.size)
    for x, turn, shade in ((-long, pi, 0.72), (long * 0.8, 0.0, 0.72)):
        _paw(pen, (x, 0.62), phase + turn, darker(dog.coat, shade), 0.16)
    wag = 0.35 * sin(9.0 * time)
    tail = (-long - 0.1, 0.86)
    pen.limb(tail, (tail[0] - 0.3, tail[1] + 0.34 + 0.12 * wag), 0.13, 0.07, dog.coat)
    pen.limb((-long + 0.04, 0.74), (long * 0.75, 0.72), 0.38, 0.46, dog.coat)
    pen.limb((-long * 0.4, 0.84), (long * 0.1, 0.84), 0.2, 0.2, dog.patch)
    for x, turn in ((-long, 0.0), (long * 0.8, pi)):
        _paw(pen, (x, 0.62), phase + turn, dog.coat, 0.17)
    head = (long + 0.34, 1.16 + 0.02 * sin(phase))
    pen.limb((long * 0.85, 0.8), (head[0] - 0.05, head[1] - 0.05), 0.38, 0.26, dog.coat)
    pen.line([(long * 0.95 + 0.03, 1.02), (long * 0.95 + 0.3, 0.88)], 0.07, (206, 60, 58))
    pen.disc(head, 0.2, dog.coat)
    pen.limb(
        (head[0] + 0.06, head[1] - 0.05), (head[0] + 0.32, head[1] - 0.09), 0.2, 0.14, dog.patch
    )
    pen.disc((head[0] + 0.38, head[1] - 0.05), 0.055, DARK)
    pen.disc((head[0] + 0.1, head[1] + 0.05), 0.032, DARK)
    ear = darker(dog.coat, 0.7)
    if dog.pointed:
        pen.polygon(
            [
                (head[0] - 0.16, head[1] + 0.08),
                (head[0] - 0.1, head[1] + 0.36),
                (head[0] + 0.06, head[1] + 0.15),
            ],
            ear,
        )
    else:
        pen.limb(
            (head[0] - 0.09, head[1] + 0.12), (head[0] - 0.16, head[1] - 0.16), 0.14, 0.15, ear
        )


def _draw_cat(pen: Pen, cat: Animal, distance: float, time: float) -> None:
    long = 0.78 * cat.slender
    phase = 2 * pi * distance / (1.6 * cat.size)
    for x, turn in ((-long, pi), (long * 0.8, 0.0)):
        _paw(pen, (x, 0.62), phase + turn, darker(cat.coat, 0.72), 0.15)
    curl = 0.12 * sin(2.0 * time)
    points = [
        (-long - 0.05, 0.8),
        (-long - 0.35, 0.85),
        (-long - 0.48, 1.15),
        (-long - 0.4 + curl, 1.45),
    ]
    for a, b in itertools.pairwise(points):
        pen.limb(a, b, 0.13, 0.12, cat.coat)
    pen.limb((-long, 0.76), (long * 0.8, 0.76), 0.46, 0.42, cat.coat)
    for x in (-0.55, -0.2, 0.15):
        pen.limb((x * long, 0.95), (x * long, 0.78), 0.1, 0.04, darker(cat.coat, 0.75))
    for x, turn in ((-long, 0.0), (long * 0.8, pi)):
        _paw(pen, (x, 0.62), phase + turn, cat.coat, 0.16)
    head = (long + 0.32, 1.02)
    for x in (-0.15, 0.13):
        pen.polygon(
            [
                (head[0] + x - 0.11, head[1] + 0.12),
                (head[0] + x + 0.02, head[1] + 0.42),
                (head[0] + x + 0.13, head[1] + 0.12),
            ],
            darker(cat.coat, 0.85),
        )
    pen.oval(head, (0.29, 0.25), cat.coat)
    pen.oval((head[0] + 0.16, head[1] - 0.09), (0.13, 0.1), cat.patch)
    pen.disc((head[0] + 0.25, head[1] - 0.06), 0.035, (214, 120, 120))
    for x in (0.0, 0.19):
        pen.oval((head[0] + x, head[1] + 0.05), (0.035, 0.05), (60, 90, 50))


def _paw(pen: Pen, hip: Point, phase: float, colour: Colour, width: float) -> None:
    reach = 0.3 * sin(phase)
    lift = 0.12 * max(0.0, cos(phase))
    knee = (hip[0] + 0.35 * reach - 0.05, hip[1] - 0.32 + lift * 0.4)
    foot = (hip[0] + reach, 0.06 + lift)
    pen.limb(hip, knee, width * 1.3, width * 0.9, colour)
    pen.limb(knee, foot, width * 0.85, width * 0.7, colour)
    pen.limb(foot, (foot[0] + 0.08, foot[1]), 0.12, 0.1, colour)
