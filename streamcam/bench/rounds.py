"""Taking turns: what else the machine does meets every way alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamcam.bench.results import Spread, Standing

Way = Callable[[], int]
"""Looks at all frames once, and returns how many boxes it found."""


@dataclass(slots=True)
class Turns:
    """What one way's turns took.

    Attributes:
        clock: Seconds by the clock, a value for each round.
        processor: Seconds of processor time of this process.
        found: Boxes in the last round.
    """

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    found: int = 0

    def take(self, way: Way) -> None:
        """Time one turn."""
        begun = time.perf_counter(), time.process_time()
        self.found = way()
        self.processor.append(time.process_time() - begun[1])
        self.clock.append(time.perf_counter() - begun[0])

    def standing(self, frames: int, batch: int, precision: str) -> Standing:
        """Return the turns as figures for a frame."""
        return Standing(
            rate=Spread.of([frames / seconds for seconds in self.clock]),
            processor=Spread.of([seconds / frames for seconds in self.processor]),
            batch=batch,
            precision=precision,
            found=self.found,
        )


def take_turns(
    ways: Mapping[str, Way], rounds: int, told: Callable[[str, int, int], None]
) -> dict[str, Turns]:
    """Let every way have its turn in every round, each other round backwards.

    Args:
        ways: By name, in the order of the first round.
        rounds: How many.
        told: Is told before each turn: what comes, turns done, turns in all.
    """
    turns = {name: Turns() for name in ways}
    order = list(ways)
    for index in range(rounds):
        for place, name in enumerate(order if index % 2 == 0 else reversed(order)):
            told(name, index * len(order) + place, rounds * len(order))
            turns[name].take(ways[name])
    return turns


def speed_over(one: Turns, other: Turns) -> Spread:
    """How many times as fast one way was as another in the same round."""
    return Spread.of([theirs / ours for ours, theirs in zip(one.clock, other.clock, strict=True)])
