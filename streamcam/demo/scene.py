"""The drawn street and everything that moves on it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.demo.animals import Animal, draw_animal, draw_flying
from streamcam.demo.pen import DAYLIGHTS, Pen, Perspective
from streamcam.demo.people import Person, draw_waiting, draw_walker
from streamcam.demo.scenery import Prop, draw_background, draw_prop
from streamcam.demo.vehicles import Vehicle, draw_rider_of, draw_vehicle
from streamcam.types import Box, Picture, TrueObject

CLASS_IDS = {
    "person": 1,
    "bicycle": 2,
    "car": 3,
    "motorcycle": 4,
    "bus": 6,
    "truck": 8,
    "bird": 16,
    "cat": 17,
    "dog": 18,
}
"""The labels of the scene, with their numbers in COCO."""

MIN_VISIBLE = 0.3
"""Minimum visible share of an object that counts as present."""

_SILHOUETTE = 3  # occlusion is measured on a canvas smaller by this factor
_PROP_INK = 255
_RIM = 0.5  # pixels by which OpenCV's shapes reach beyond their outline, measured
_MAX_HALF_LENGTH = 5.0  # metres, of the longest vehicle
_SHADE = 200  # brightness inside a shadow, of 255

Draw = Callable[[Pen, float, float], None]
"""Draws a part with a pen, given the distance travelled in metres and the time in seconds."""


@dataclass(frozen=True)
class _Actor:
    """Something on the street and its motion.

    Attributes:
        scale: Pixels per metre at its position.
        start: Its column at time 0.
        speed: Metres per second, positive to the right.
        facing: 1 to the right, -1 to the left.
        loop: Pixels after which its path repeats.
        shadow: Half the width of its shadow, in metres; 0 for none.
        parts: Labels ("" for street furniture) and how they are drawn, from back to front.
        altitude: Metres above the ground.
    """

    scale: float
    start: float
    speed: float
    facing: int
    loop: float
    shadow: float
    parts: tuple[tuple[str, Draw], ...]
    altitude: float = 0.0

    def column(self, time: float, width: int) -> float:
        """Return its column: up to half a loop left or right of the picture's middle."""
        x = self.start + self.speed * self.scale * time - width / 2
        return x - self.loop * self.lap(time, width) + width / 2

    def lap(self, time: float, width: int) -> int:
        """Return how often its path has repeated; between two laps it is out of the picture."""
        x = self.start + self.speed * self.scale * time - width / 2
        return floor(x / self.loop + 0.5)


class _Drawn(NamedTuple):
    """A labelled part of an actor in the canvas of silhouettes."""

    label: str
    identity: str
    box: Box
    painted: int  # pixels, of which others may hide some


class DemoScene:
    """A small drawn street that is the same for a seed, on every run.

    Args:
        seed: Chooses the place, the light and the actors.
        width, height: Of the pictures, in pixels.
    """

    def __init__(self, seed: int = 1, width: int = 768, height: int = 432) -> None:
        self.width = width
        self.height = height
        random = np.random.default_rng(seed)
        self._daylight = DAYLIGHTS[random.integers(len(DAYLIGHTS))]
        self._view = Perspective.random(random, width, height)
        self._background = draw_background(self._view, self._daylight, random)
        actors = _ActorFactory(self._view, random).actors()
        self._actors = sorted(actors, key=lambda actor: actor.scale)

    def picture(self, time: float) -> Picture:
        """Return the street at a time in seconds: RGB, uint8, [height, width, 3]."""
        canvas = self._background.copy()
        self._cast_shadows(canvas, time)
        for actor in self._visible(time):
            for _, draw in actor.parts:
                draw(self._pen(canvas, actor, time), abs(actor.speed) * time, time)
        return canvas

    def truth(self, time: float) -> tuple[TrueObject, ...]:
        """Return the visible objects at a time in seconds, from back to front.

        Boxes span the whole object, hidden parts too, inside the picture. Objects of which less
        than `MIN_VISIBLE` can be seen are left out.
        """
        inks = np.zeros((self.height // _SILHOUETTE + 1, self.width // _SILHOUETTE + 1), np.uint8)
        drawn: list[_Drawn] = []
        for actor in self._visible(time):
            passage = f"{self._actors.index(actor)}.{actor.lap(time, self.width)}"
            for part, (label, draw) in enumerate(actor.parts):
                ink = len(drawn) + 1 if label else _PROP_INK
                pen = self._pen(inks, actor, time, ink)
                draw(pen, abs(actor.speed) * time, time)
                if label:
                    painted = int(np.count_nonzero(inks == ink))
                    drawn.append(_Drawn(label, f"{passage}.{part}", pen.box, painted))
        visible = np.bincount(inks.ravel(), minlength=_PROP_INK + 1)
        return tuple(self._boxes(drawn, visible))

    def _boxes(self, drawn: list[_Drawn], visible: npt.NDArray[np.intp]) -> Iterator[TrueObject]:
        for ink, (label, identity, box, painted) in enumerate(drawn, start=1):
            left, top, right, bottom = (edge * _SILHOUETTE for edge in box)
            whole = (left - _RIM, top - _RIM, right + _RIM, bottom + _RIM)
            x1, x2 = np.clip(whole[0::2], 0, self.width)
            y1, y2 = np.clip(whole[1::2], 0, self.height)
            inside = (x2 - x1) * (y2 - y1) / ((whole[2] - whole[0]) * (whole[3] - whole[1]))
            if painted and inside * visible[ink] / painted >= MIN_VISIBLE:
                seen = (float(x1), float(y1), float(x2), float(y2))
                yield TrueObject(label, CLASS_IDS[label], seen, identity)

    def _visible(self, time: float) -> Iterator[_Actor]:
        for actor in self._actors:
            away = abs(actor.column(time, self.width) - self.width / 2)
            if away < self.width / 2 + _MAX_HALF_LENGTH * actor.scale:
                yield actor

    def _pen(
        self, canvas: npt.NDArray[np.uint8], actor: _Actor, time: float, ink: int | None = None
    ) -> Pen:
        shrink = 1 if ink is None else _SILHOUETTE
        row = self._view.row(actor.scale) - actor.altitude * actor.scale
        return Pen(
            canvas,
            (actor.column(time, self.width) / shrink, row / shrink),
            actor.scale / shrink,
            facing=actor.facing,
            light=self._daylight.light,
            ink=ink,
        )

    def _cast_shadows(self, canvas: Picture, time: float) -> None:
        top = int(self._view.row(self._view.wall))
        shade = np.full((self.height - top, self.width), 255, np.uint8)
        for actor in self._visible(time):
            if not actor.shadow:
                continue
            centre = (actor.column(time, self.width), self._view.row(actor.scale) - top)
            reach = actor.shadow * actor.scale
            Pen(shade, centre, 1.0).oval((0.0, 0.0), (reach, 0.16 * reach + 2), (_SHADE,) * 3)
        ground = canvas[top:]
        cv2.multiply(ground, cv2.merge([shade] * 3), dst=ground, scale=1 / 255)


class _ActorFactory:
    """Chooses what stands and moves on the street."""

    def __init__(self, view: Perspective, random: np.random.Generator) -> None:
        self._view = view
        self._random = random

    def actors(self) -> Iterator[_Actor]:
        view, random = self._view, self._random
        yield from self._walkers(view.wall * 1.03, view.kerb_far * 0.98, int(random.integers(1, 4)))
        yield from self._walkers(
            view.kerb_near * 1.08, view.front * 1.02, int(random.integers(3, 8))
        )
        middle = 2 / (1 / view.kerb_far + 1 / view.kerb_near)
        direction = 1 if random.random() < 0.5 else -1
        yield from self._lane((view.kerb_far + middle) / 2 * 0.97, direction)
        yield from self._lane((view.kerb_near + middle) / 2 * 1.06, -direction)
        yield from self._animals()
        yield from self._furniture()

    def _walkers(self, far: float, near: float, count: int) -> Iterator[_Actor]:
        for _ in range(count):
            scale = float(self._random.uniform(far, near))
            person = Person.random(self._random, child=self._random.random() < 0.15)
            if self._random.random() < 0.18:
                yield self._actor(scale, 0.0, 0.3, [("person", _person_waiting(person))])
            else:
                speed = float(self._random.uniform(0.9, 1.7)) * (person.height / 1.75) ** 0.5
                yield self._actor(scale, speed, 0.34, [("person", _person_walking(person))])

    def _lane(self, scale: float, direction: int) -> Iterator[_Actor]:
        """Yield the vehicles of a lane, all equally fast so that none collide."""
        random = self._random
        speed = float(random.uniform(2.2, 5.0))
        kinds = random.choice(
            ["car", "bus", "truck", "bicycle", "motorcycle"],
            size=random.integers(3, 7),
            p=[0.46, 0.12, 0.12, 0.18, 0.12],
        )
        vehicles = [Vehicle.random(random, str(kind)) for kind in kinds]
        starts, end = [], 0.0
        for vehicle in vehicles:
            starts.append(end + vehicle.length / 2)
            end += vehicle.length + float(random.uniform(1.5, 6.0))
        loop = max(end, self._view.width / scale + 10.0)
        shift = float(random.uniform(0, loop))
        for vehicle, start in zip(vehicles, starts, strict=True):
            parts: list[tuple[str, Draw]] = [(vehicle.kind, _vehicle_driving(vehicle))]
            if vehicle.rider is not None:
                parts.append(("person", _rider_of(vehicle)))
            yield _Actor(
                scale,
                (start + shift) * scale,
                direction * speed,
                direction,
                loop * scale,
                0.52 * vehicle.length,
                tuple(parts),
            )

    def _animals(self) -> Iterator[_Actor]:
        view, random = self._view, self._random
        for kind, share, low, high in (
            ("dog", 0.75, 0.7, 1.6),
            ("dog", 0.2, 0.7, 1.6),
            ("cat", 0.55, 0.3, 0.8),
            ("bird", 0.5, 0.02, 0.1),
            ("bird", 0.4, 0.02, 0.1),
        ):
            if random.random() < share:
                animal = Animal.random(random, kind)
                scale = float(random.uniform(view.kerb_near * 1.12, view.front))
                speed = float(random.uniform(low, high))
                yield self._actor(scale, speed, animal.size, [(kind, _animal_moving(animal))])
        for _ in range(random.integers(0, 4)):
            bird = Animal.random(random, "bird")
            scale = float(random.uniform(0.75, 1.1)) * view.front
            row = float(random.uniform(0.06, 0.3)) * view.height
            speed = float(random.uniform(1.0, 2.5))
            yield self._actor(
                scale,
                speed,
                0.0,
                [("bird", _bird_flying(bird, float(random.random())))],
                altitude=(view.row(scale) - row) / scale,
            )

    def _furniture(self) -> Iterator[_Actor]:
        view, random = self._view, self._random
        for scale in (view.kerb_far * 0.96, view.kerb_near * 1.05):
            for _ in range(random.integers(0, 4)):
                prop = Prop.random(random)
                yield self._actor(scale, 0.0, 0.5, [("", _prop_standing(prop))])
        if random.random() < 0.3:
            bicycle = Vehicle.random(random, "bicycle")
            yield self._actor(
                view.kerb_near * 1.1, 0.0, 0.8, [("bicycle", _vehicle_driving(bicycle))]
            )

    def _actor(
        self,
        scale: float,
        speed: float,
        shadow: float,
        parts: list[tuple[str, Draw]],
        altitude: float = 0.0,
    ) -> _Actor:
        """Return an actor with a random start and direction."""
        direction = 1 if self._random.random() < 0.5 else -1
        loop = self._view.width * (1.0 if speed == 0 else 1.1) + 2 * scale
        start = float(self._random.uniform(0.05, 0.95)) * self._view.width
        return _Actor(
            scale, start, direction * speed, direction, loop, shadow, tuple(parts), altitude
        )


def _person_walking(person: Person) -> Draw:
    return lambda pen, distance, _: draw_walker(pen, person, distance + person.girth)


def _person_waiting(person: Person) -> Draw:
    return lambda pen, _, time: draw_waiting(pen, person, time)


def _vehicle_driving(vehicle: Vehicle) -> Draw:
    return lambda pen, distance, _: draw_vehicle(pen, vehicle, distance)


def _rider_of(vehicle: Vehicle) -> Draw:
    return lambda pen, distance, _: draw_rider_of(pen, vehicle, distance)


def _animal_moving(animal: Animal) -> Draw:
    return lambda pen, distance, time: draw_animal(pen, animal, distance, time)


def _bird_flying(bird: Animal, phase: float) -> Draw:
    return lambda pen, _, time: draw_flying(pen, bird, time + phase)


def _prop_standing(prop: Prop) -> Draw:
    return lambda pen, _distance, _time: draw_prop(pen, prop)
