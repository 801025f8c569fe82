"""What a benchmark found."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over some rounds.

    Attributes:
        median: The middle one.
        low: The least.
        high: The greatest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Standing:
    """One way to look at the frames.

    Attributes:
        rate: Frames a second, by the clock.
        processor: Seconds of processor time for a frame, all threads together.
        batch: Frames in one forward.
        precision: "fp32", "fp16" or "bf16".
        found: Boxes in all frames.
    """

    rate: Spread
    processor: Spread
    batch: int
    precision: str
    found: int


@dataclass(frozen=True, slots=True)
class Startup:
    """What comes before the first frame, in seconds; no part of the rates.

    Attributes:
        imports: Loading torch and what else the engine needs, as far as it was not there yet.
        engine: Building the detector, its weights and the choice of precision.
        first_frame: From then on until the first explained frame is written.
    """

    imports: float
    engine: float
    first_frame: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured.

    Attributes:
        device: Where the detector ran.
        processor: The CPU's name.
        cores: How many of them this process may use.
        threads: How many torch uses.
        load: The system's load average over the last minute, before and after.
        torch: Its version.
    """

    device: str
    processor: str
    cores: int
    threads: int
    load: tuple[float, float]
    torch: str


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A benchmark's results.

    Attributes:
        source: The name of what was looked at.
        width: Of its frames, in pixels.
        height: Of its frames, in pixels.
        frames: How many of them, from the first on.
        rounds: How often each way had its turn.
        model: The detector.
        weights: Where its weights are from, or "random".
        machine: Where.
        article: The published way: file in, file out, in float32.
        bare: The detector's forward alone, frames on the device, at its best batch.
        streamcam: What `streamcam run` does: file in, files out.
        over_article: Speed of streamcam over the article's, round by round.
        over_bare: Speed of streamcam over the bare detector's, round by round.
        stages: Seconds that each stage takes for a frame, alone.
        startup: What comes before.
    """

    source: str
    width: int
    height: int
    frames: int
    rounds: int
    model: str
    weights: str
    machine: Machine
    article: Standing
    bare: Standing
    streamcam: Standing
    over_article: Spread
    over_bare: Spread
    stages: Mapping[str, Spread]
    startup: Startup

    @property
    def overlap(self) -> float:
        """Seconds that the stages take one after the other over those that the whole takes.

        1 where nothing overlaps. Beside torch's threads, which have all cores already, it can only
        tell that nothing waits.
        """
        together = sum(stage.median for stage in self.stages.values())
        return together * self.streamcam.rate.median

    @property
    def looking(self) -> float:
        """Seconds that the detector alone takes for a frame, upload and preparation included."""
        return sum(self.stages[name].median for name in ("upload", "preprocess", "forward"))

    @property
    def mapping(self) -> float:
        """Seconds that the map adds: its components, and what the host makes of them."""
        return self.stages["cam"].median + self.stages["settle"].median
