"""Results of a benchmark as plain values, for `--json`, and in words."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from streamcam.version import __version__

_DIGITS = 6

# Of stages, where they differ from `STAGES`.
_JSON_NAMES = {"stabilize": "settle"}


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of a value over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class RunResult:
    """Results of one of the runs that are compared."""

    rate: Spread  # frames per second of wall-clock time
    processor: Spread  # seconds of CPU time per frame, of all threads
    batch: int  # frames in one forward
    precision: str  # "fp32", "fp16", "bf16" or "int8"
    detections: int  # number of boxes in all frames


@dataclass(frozen=True, slots=True)
class OpenVinoResult:
    """Results of one precision in OpenVINO."""

    bare: RunResult  # the detector's forward alone
    streamcam: RunResult  # `streamcam run`
    over_torch: Spread  # speed of that divided by streamcam's with the settings as they are
    over_bare: Spread  # the same for the detector alone


@dataclass(frozen=True, slots=True)
class Startup:
    """Times before the first frame, in seconds; not part of the rates."""

    imports: float  # importing torch and the engine's other modules
    engine: float  # building the detector with its weights, and choosing the precision
    first_frame: float  # from then on until the first explained frame is written


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine."""

    device: str  # of the detector
    processor: str  # the CPU's name
    cores: int  # that this process may use
    threads: int  # of torch
    load: tuple[float, float]  # the system's average over one minute, before and after
    torch: str  # its version


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A benchmark's results.

    Attributes:
        frames: Number of frames, from the first on.
        weights: Source of the model's weights, or "random".
        gradcam: The published recipe: file to file, in float32.
        detector_only: The detector's forward alone, frames on the device, at its best batch.
        streamcam: `streamcam run`: file to files.
        over_gradcam: Speed of streamcam divided by that of the recipe in the same round.
        over_detector_only: The same for the detector alone.
        stages: Seconds per frame of each stage by itself.
        startup: Times before the first frame.
        openvino: The same detector in OpenVINO, by precision; empty without it.
        not_in_openvino: Why precisions are left out of that.
    """

    source: str
    width: int
    height: int
    frames: int
    rounds: int
    model: str
    weights: str
    machine: Machine
    gradcam: RunResult
    detector_only: RunResult
    streamcam: RunResult
    over_gradcam: Spread
    over_detector_only: Spread
    stages: Mapping[str, Spread]
    startup: Startup
    openvino: Mapping[str, OpenVinoResult] = field(default_factory=dict)
    not_in_openvino: Mapping[str, str] = field(default_factory=dict)

    @property
    def overlap(self) -> float:
        """Sum of the stages' times divided by that of the whole run; 1 if nothing overlaps.

        On a CPU, where torch's threads use all cores, it cannot be much larger.
        """
        return self.stages_seconds * self.streamcam.rate.median

    @property
    def stages_seconds(self) -> float:
        return sum(stage.median for stage in self.stages.values())

    @property
    def detector_seconds(self) -> float:
        """Time of the detector per frame, including upload and preprocessing."""
        return sum(self.stages[name].median for name in ("upload", "preprocess", "forward"))

    @property
    def map_seconds(self) -> float:
        """Additional time of the map per frame: its components and their stabilisation."""
        return self.stages["cam"].median + self.stages["stabilize"].median


def as_values(report: BenchReport) -> dict[str, Any]:
    """A report for `--json`: seconds, frames per second, and ratios of speeds."""
    whole = ("source", "width", "height", "frames", "rounds", "model", "weights")
    without = report.detector_seconds
    return {
        "version": __version__,
        **{name: getattr(report, name) for name in whole},
        "machine": {
            **asdict(report.machine),
            "load": [round(load, 2) for load in report.machine.load],
        },
        "ratio": {
            "streamcam_over_article": round(report.over_gradcam.median, 4),
            "streamcam_over_bare": round(report.over_detector_only.median, 4),
            "spread": {
                "streamcam_over_article": _ends(report.over_gradcam),
                "streamcam_over_bare": _ends(report.over_detector_only),
            },
        },
        "article": _run_values(report.gradcam),
        "bare": _run_values(report.detector_only),
        "streamcam": _run_values(report.streamcam),
        "stages": {
            _JSON_NAMES.get(name, name): {
                "seconds": round(stage.median, _DIGITS),
                "spread": _ends(stage),
                "share": round(stage.median / report.stages_seconds, 4),
            }
            for name, stage in report.stages.items()
        },
        "overlap": round(report.overlap, 3),
        "map": {
            "with": round(without + report.map_seconds, _DIGITS),
            "without": round(without, _DIGITS),
            "overhead": round(report.map_seconds / without, 4),
        },
        "openvino": {
            precision: {
                "bare": _run_values(one.bare),
                "streamcam": _run_values(one.streamcam),
                "ratio": {
                    "over_torch": round(one.over_torch.median, 4),
                    "over_bare": round(one.over_bare.median, 4),
                    "spread": {
                        "over_torch": _ends(one.over_torch),
                        "over_bare": _ends(one.over_bare),
                    },
                },
            }
            for precision, one in report.openvino.items()
        },
        "startup": {name: round(value, 3) for name, value in asdict(report.startup).items()},
    }


def machine_in_words(report: BenchReport) -> list[str]:
    """The subject of the measurement, and the machine."""
    machine = report.machine
    before, after = machine.load
    measured = (
        f"{report.model} ({report.weights}) on {machine.device}: {report.frames} frames of "
        f"{report.width}x{report.height} from {report.source}, {report.rounds} rounds"
    )
    place = (
        f"{machine.processor or 'unknown CPU'}, {machine.cores} cores, torch {machine.torch} with "
        f"{machine.threads} threads, load {before:.1f} before and {after:.1f} after"
    )
    return [measured, place]


def remarks(report: BenchReport) -> list[str]:
    """Conclusions beside the tables, a sentence each."""
    startup = report.startup
    without = 1000 * report.detector_seconds
    both = without + 1000 * report.map_seconds
    lines = [
        f"The map adds {both / without - 1:.1%}: {both:.1f} ms a frame instead of {without:.1f}.",
        f"The sum of the stages is {report.overlap:.2f} times the time of the whole run.",
    ]
    lines.append(
        f"Before the first frame: {startup.imports:.1f} s to import torch and grad-cam, "
        f"{startup.engine:.1f} s to build the detector, {startup.first_frame:.2f} s for the frame."
    )
    lines += [
        f"In OpenVINO {one} streamcam is {result.over_torch.median:.2f} times as fast, "
        f"{result.over_bare.median:.2f} of the detector alone there."
        for one, result in report.openvino.items()
    ]
    lines += [f"Not in OpenVINO: {reason}." for reason in report.not_in_openvino.values()]
    if report.machine.load[0] > report.machine.cores / 2:
        lines.append("The machine had other load: the ratios are more reliable than the rates.")
    return lines


def _run_values(result: RunResult) -> dict[str, Any]:
    return {
        "fps": round(result.rate.median, 4),
        "spread": _ends(result.rate),
        "processor_seconds": round(result.processor.median, _DIGITS),
        "batch": result.batch,
        "precision": result.precision,
        "detections": result.detections,
    }


def _ends(spread: Spread) -> list[float]:
    return [round(spread.low, _DIGITS), round(spread.high, _DIGITS)]
