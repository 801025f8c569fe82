"""A benchmark's findings as plain values for `--json`, and in words."""

from typing import Any

from streamcam.bench.results import BenchReport, Spread, Standing
from streamcam.version import __version__

_DIGITS = 6


def as_values(report: BenchReport) -> dict[str, Any]:
    """Return a report as `--json` prints it: seconds, frames a second, and ratios of speeds."""
    return {
        "version": __version__,
        "source": report.source,
        "width": report.width,
        "height": report.height,
        "frames": report.frames,
        "rounds": report.rounds,
        "model": report.model,
        "weights": report.weights,
        "machine": {
            "device": report.machine.device,
            "processor": report.machine.processor,
            "cores": report.machine.cores,
            "threads": report.machine.threads,
            "load": [round(load, 2) for load in report.machine.load],
            "torch": report.machine.torch,
        },
        "ratio": {
            "streamcam_over_article": round(report.over_article.median, 4),
            "streamcam_over_bare": round(report.over_bare.median, 4),
            "spread": {
                "streamcam_over_article": _ends(report.over_article),
                "streamcam_over_bare": _ends(report.over_bare),
            },
        },
        "article": _standing(report.article),
        "bare": _standing(report.bare),
        "streamcam": _standing(report.streamcam),
        "stages": {
            name: {"seconds": round(stage.median, _DIGITS), "spread": _ends(stage), "share": share}
            for (name, stage), share in zip(report.stages.items(), _shares(report), strict=True)
        },
        "overlap": round(report.overlap, 3),
        "map": {
            "with": round(report.looking + report.mapping, _DIGITS),
            "without": round(report.looking, _DIGITS),
            "overhead": round(report.mapping / report.looking, 4),
        },
        "startup": {
            "imports": round(report.startup.imports, 3),
            "engine": round(report.startup.engine, 3),
            "first_frame": round(report.startup.first_frame, 3),
        },
    }


def machine_in_words(report: BenchReport) -> list[str]:
    """Return what was measured, and where."""
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
    """Return what the tables do not say."""
    startup = report.startup
    without, both = 1000 * report.looking, 1000 * (report.looking + report.mapping)
    lines = [
        f"The map adds {both / without - 1:.1%}: {both:.1f} ms a frame instead of {without:.1f}.",
        f"One after the other the stages take {report.overlap:.2f} times as long as the whole run.",
    ]
    lines.append(
        f"Before the first frame: {startup.imports:.1f} s to load torch and grad-cam, "
        f"{startup.engine:.1f} s to build the detector, {startup.first_frame:.2f} s for the frame."
    )
    if report.machine.load[0] > report.machine.cores / 2:
        lines.append("The machine was busy with other work: trust the ratios more than the rates.")
    return lines


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "fps": round(standing.rate.median, 4),
        "spread": _ends(standing.rate),
        "processor_seconds": round(standing.processor.median, _DIGITS),
        "batch": standing.batch,
        "precision": standing.precision,
        "detections": standing.found,
    }


def _ends(spread: Spread) -> list[float]:
    return [round(spread.low, _DIGITS), round(spread.high, _DIGITS)]


def _shares(report: BenchReport) -> list[float]:
    together = sum(stage.median for stage in report.stages.values())
    return [round(stage.median / together, 4) for stage in report.stages.values()]
