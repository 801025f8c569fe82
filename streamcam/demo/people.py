"""People: how they look, walk, stand and ride."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from streamcam.demo.pen import Colour, Pen, Point, darker, lighter

SKINS: tuple[Colour, ...] = (
    (247, 214, 188),
    (232, 186, 152),
    (205, 150, 112),
    (160, 108, 76),
    (116, 76, 54),
)
HAIRS: tuple[Colour, ...] = (
    (46, 36, 34),
    (84, 56, 40),
    (140, 94, 52),
    (206, 160, 88),
    (168, 80, 44),
    (170, 168, 170),
)
TOPS: tuple[Colour, ...] = (
    (226, 88, 76),
    (242, 176, 66),
    (62, 124, 178),
    (72, 156, 128),
    (240, 236, 226),
    (134, 96, 160),
    (48, 62, 92),
    (224, 130, 150),
    (110, 140, 80),
    (64, 66, 72),
)
BOTTOMS: tuple[Colour, ...] = (
    (52, 66, 104),
    (70, 74, 84),
    (150, 124, 92),
    (92, 112, 146),
    (40, 42, 50),
    (120, 84, 66),
)
SHOES: tuple[Colour, ...] = ((44, 40, 42), (240, 240, 236), (124, 76, 50), (190, 60, 56))

STRIDE = 0.8
"""Length of two steps, in body heights: what the swing of the legs covers, so feet do not slide."""


@dataclass(frozen=True)
class Person:
    """How somebody looks; everything is drawn in shares of the height."""

    height: float  # in metres
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    outfit: str  # "trousers", "shorts", "skirt" or "coat"
    hair_style: str  # "short", "long", "bun", "cap" or "bald"
    carries: str  # "nothing", "backpack" or "bag"
    girth: float

    @classmethod
    def random(cls, random: np.random.Generator, *, child: bool = False) -> "Person":
        return cls(
            height=float(random.uniform(1.05, 1.35) if child else random.uniform(1.58, 1.92)),
            skin=SKINS[random.integers(len(SKINS))],
            hair=HAIRS[random.integers(len(HAIRS) - child)],
            top=TOPS[random.integers(len(TOPS))],
            bottom=BOTTOMS[random.integers(len(BOTTOMS))],
            shoes=SHOES[random.integers(len(SHOES))],
            outfit=str(random.choice(["trousers", "trousers", "shorts", "skirt", "coat"])),
            hair_style=str(random.choice(["short", "short", "long", "bun", "cap", "bald"])),
            carries=str(random.choice(["nothing", "nothing", "backpack", "bag"])),
            girth=float(random.uniform(0.9, 1.2)) * (1.1 if child else 1.0),
        )


def draw_walker(pen: Pen, person: Person, distance: float) -> None:
    """Draw somebody walking, seen from the side, after `distance` metres."""
    phase = 2 * pi * distance / (STRIDE * person.height)
    _draw_side(pen.scaled(person.height), person, phase, swing=0.45)


def draw_waiting(pen: Pen, person: Person, time: float) -> None:
    """Draw somebody standing, seen from the front."""
    pen, wide = pen.scaled(person.height), person.girth
    sway = 0.004 * sin(1.3 * time)
    for side in (-1, 1):
        hip, foot = (0.045 * side * wide + sway, 0.5), (0.055 * side, 0.02)
        _leg(pen, person, hip, (0.05 * side, 0.26), foot, shade=1.0)
        pen.oval((foot[0] + 0.01 * side, 0.015), (0.035, 0.022), person.shoes)
    for side in (-1, 1):
        shoulder = (0.098 * side * wide + sway, 0.79)
        _arm(pen, person, shoulder, (0.13 * side * wide, 0.64), (0.118 * side * wide, 0.49), 0.9)
    _torso(pen, person, lean=0.0, width=0.205 * wide, hem=0.27)
    _head(pen, person, (sway, 0.915), front=True)


def draw_rider(
    pen: Pen,
    person: Person,
    crank: float,
    seat: Point,
    bar: Point,
    foot: Point,
    reach: float,
    *,
    helmet: Colour | None,
) -> None:
    """Draw somebody riding.

    Args:
        pen: The pen, in metres.
        person: The rider.
        crank: Angle of the pedals in radians.
        seat: Where the hip is.
        bar: Where the hands are.
        foot: Centre of the pedals.
        reach: Radius of the pedals' circle, 0 for foot rests.
        helmet: Its colour, if there is one.
    """
    h = person.height
    shoulder = (seat[0] + 0.16 * h, seat[1] + 0.27 * h)
    for turn, shade in ((pi, 0.72), (0.0, 1.0)):
        pedal = (foot[0] + reach * cos(crank + turn), foot[1] + reach * sin(crank + turn))
        knee = _joint(seat, pedal, 0.25 * h, 0.25 * h, bend=1)
        colour = darker(person.bottom, shade)
        pen.limb(seat, knee, 0.1 * h, 0.075 * h, colour)
        pen.limb(knee, pedal, 0.07 * h, 0.05 * h, colour)
        pen.limb(pedal, (pedal[0] + 0.08 * h, pedal[1]), 0.045 * h, 0.04 * h, person.shoes)
    pen.limb(seat, shoulder, 0.15 * h * person.girth, 0.135 * h, person.top)
    elbow = _joint(shoulder, bar, 0.17 * h, 0.17 * h, bend=-1)
    pen.limb(shoulder, elbow, 0.07 * h, 0.055 * h, darker(person.top, 0.88))
    pen.limb(elbow, bar, 0.05 * h, 0.04 * h, person.skin)
    head = (shoulder[0] / h + 0.05, shoulder[1] / h + 0.12)
    _head(pen.scaled(h), person, head, front=False)
    if helmet is not None:
        pen.scaled(h).polygon(_dome((head[0], head[1] + 0.02), 0.08), helmet)


def _draw_side(pen: Pen, person: Person, phase: float, swing: float) -> None:
    legs = [_stride(phase + turn, swing) for turn in (pi, 0.0)]
    hip = -min(foot[1] for _, foot in legs) + 0.02
    arms = [-1.1 * swing * sin(phase + turn) for turn in (pi, 0.0)]
    neck = (0.015, hip + 0.31)
    _swinging_arm(pen, person, neck, arms[0], shade=0.72)
    for (knee, foot), shade in zip(legs, (0.74, 1.0), strict=True):
        ankle = (foot[0], foot[1] + hip)
        _leg(pen, person, (0.0, hip), (knee[0], knee[1] + hip), ankle, shade)
        _shoe(pen, person, ankle, shade)
    if person.carries == "backpack":
        pen.limb((-0.1, hip + 0.1), (-0.09, hip + 0.25), 0.12, 0.1, darker(person.bottom, 1.1))
    _torso(pen, person, lean=0.015, width=0.145 * person.girth, hem=hip - 0.22, hip=hip)
    _head(pen, person, (0.03, hip + 0.415), front=False)
    _swinging_arm(pen, person, neck, arms[1], shade=0.88)
    if person.carries == "bag":
        hand = (neck[0] + 0.33 * sin(arms[1] + 0.15), hip - 0.03)
        pen.polygon(
            [
                (hand[0] - 0.06, hand[1]),
                (hand[0] + 0.06, hand[1]),
                (hand[0] + 0.07, hand[1] - 0.14),
                (hand[0] - 0.07, hand[1] - 0.14),
            ],
            lighter(person.bottom, 0.25),
        )


def _stride(phase: float, swing: float) -> tuple[Point, Point]:
    """Return knee and ankle, from the hip, in body heights."""
    thigh = swing * sin(phase)
    shin = thigh - 0.08 - 0.85 * max(0.0, cos(phase))
    knee = (0.245 * sin(thigh), -0.245 * cos(thigh))
    return knee, (knee[0] + 0.225 * sin(shin), knee[1] - 0.225 * cos(shin))


def _joint(a: Point, b: Point, upper: float, lower: float, bend: int) -> Point:
    """Return the knee or elbow between two fixed ends; `bend` 1 forwards, -1 backwards."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    span = min(float(np.hypot(dx, dy)), 0.999 * (upper + lower))
    along = (span**2 + upper**2 - lower**2) / (2 * span)
    aside = bend * max(0.0, upper**2 - along**2) ** 0.5
    return a[0] + (dx * along - dy * aside) / span, a[1] + (dy * along + dx * aside) / span


def _leg(pen: Pen, person: Person, hip: Point, knee: Point, ankle: Point, shade: float) -> None:
    girth = person.girth
    bare = person.outfit in ("shorts", "skirt")
    cloth, skin = darker(person.bottom, shade), darker(person.skin, shade)
    shin = skin if bare else cloth
    pen.limb(knee, ankle, 0.062 * girth, 0.046, shin)
    thigh = skin if person.outfit == "skirt" else cloth
    pen.limb(hip, knee, 0.098 * girth, 0.068 * girth, thigh)


def _shoe(pen: Pen, person: Person, ankle: Point, shade: float) -> None:
    colour = darker(person.shoes, shade)
    heel = (ankle[0] - 0.012, ankle[1])
    pen.limb(heel, (ankle[0] + 0.065, ankle[1] - 0.004), 0.046, 0.034, colour)


def _swinging_arm(pen: Pen, person: Person, neck: Point, angle: float, shade: float) -> None:
    shoulder = (neck[0], neck[1] - 0.015)
    elbow = (shoulder[0] + 0.165 * sin(angle), shoulder[1] - 0.165 * cos(angle))
    fore = angle + 0.3 + 0.2 * max(0.0, sin(angle))
    hand = (elbow[0] + 0.15 * sin(fore), elbow[1] - 0.15 * cos(fore))
    _arm(pen, person, shoulder, elbow, hand, shade)


def _arm(
    pen: Pen, person: Person, shoulder: Point, elbow: Point, hand: Point, shade: float
) -> None:
    sleeve, skin = darker(person.top, shade), darker(person.skin, shade)
    short = person.outfit in ("shorts", "skirt")
    pen.disc(hand, 0.024, skin)
    pen.limb(elbow, hand, 0.046, 0.036, skin if short else sleeve)
    pen.limb(shoulder, elbow, 0.066, 0.052, sleeve)


def _torso(
    pen: Pen, person: Person, *, lean: float, width: float, hem: float, hip: float = 0.5
) -> None:
    half = width / 2
    top = hip + 0.325
    if person.outfit == "skirt":
        pen.polygon(
            [
                (-half * 0.75, hip + 0.1),
                (half * 0.75, hip + 0.1),
                (half * 1.45, hem + 0.06),
                (-half * 1.45, hem + 0.06),
            ],
            person.bottom,
        )
    pen.limb((lean, top - half), (0.0, hip + half - 0.03), width, width * 0.94, person.top)
    if person.outfit == "coat":
        pen.polygon(
            [
                (-half * 0.9, hip + 0.1),
                (half * 0.9, hip + 0.1),
                (half * 1.1, hem + 0.06),
                (-half * 1.1, hem + 0.06),
            ],
            person.top,
        )


def _head(pen: Pen, person: Person, centre: Point, *, front: bool) -> None:
    x, y = centre
    pen.limb((x - 0.012, y - 0.03), (x - 0.02, y - 0.11), 0.055, 0.06, darker(person.skin, 0.86))
    if person.hair_style == "long":
        back = 0.0 if front else -0.03
        pen.limb(
            (x + back, y + 0.01), (x + back - 0.005, y - 0.1), 0.15, 0.12, darker(person.hair, 0.9)
        )
    pen.oval(centre, (0.062, 0.074), person.skin)
    if not front:
        pen.oval((x + 0.062, y - 0.008), (0.013, 0.012), person.skin)
    _hair(pen, person, centre, front=front)


def _hair(pen: Pen, person: Person, centre: Point, *, front: bool) -> None:
    x, y = centre
    if person.hair_style == "bald":
        return
    if person.hair_style == "cap":
        pen.polygon(_dome((x, y + 0.012), 0.07), person.bottom)
        if not front:
            pen.limb((x + 0.03, y + 0.016), (x + 0.1, y + 0.01), 0.02, 0.014, person.bottom)
        return
    if person.hair_style == "bun":
        pen.disc((x if front else x - 0.065, y + (0.085 if front else 0.05)), 0.032, person.hair)
    tilt = 0.0 if front else 0.5
    dome = _dome((0.0, 0.0), 0.07)
    turned = np.array(dome) @ np.array([[cos(tilt), sin(tilt)], [-sin(tilt), cos(tilt)]])
    pen.polygon(turned + np.array((x - (0.0 if front else 0.004), y + 0.016)), person.hair)


def _dome(centre: Point, radius: float) -> list[Point]:
    angles = np.linspace(-0.1, pi + 0.1, 13)
    return [(centre[0] + radius * cos(a), centre[1] + radius * 0.95 * sin(a)) for a in angles]
