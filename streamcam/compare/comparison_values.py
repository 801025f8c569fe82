"""A comparison as plain values for JSON; `streamcam schema compare` describes them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from streamcam.audit.bootstrap import Interval
from streamcam.compare.comparer import ComparedSource, DetectorComparison
from streamcam.compare.conclusions import remarks, sentences
from streamcam.compare.figures import Figures, FoundBoxes, Measured
from streamcam.compare.probes import PROBES, ProbeReport
from streamcam.compare.tally import FOUND_BY, ComparedFrame
from streamcam.compare.truth_scores import Accuracy, TruthScores
from streamcam.files import readable
from streamcam.version import __version__

if TYPE_CHECKING:
    from streamcam.vision.engine_io import EngineDescription

_DIGITS = 5
_KEYS = {found_by: found_by.value.replace(" ", "_").lower() for found_by in FOUND_BY}
_OFFSET = ("right", "down", "width", "height")


def as_values(comparison: DetectorComparison) -> dict[str, Any]:
    """Return all but the pictures."""
    named = zip("ab", comparison.names, comparison.engines, strict=True)
    return {
        "streamcam_version": __version__,
        **{side: _engine(name, engine) for side, name, engine in named},
        "sentences": sentences(comparison),
        "remarks": remarks(comparison),
        "sources": [_source(one) for one in comparison.sources],
        **_figures(comparison.figures),
        "truth": comparison.truth and _truth(comparison.truth),
        "probes": comparison.probes and _probes(comparison.probes),
        "frames": [_frame(one) for one in comparison.frames],
    }


def _engine(name: str, engine: "EngineDescription") -> dict[str, Any]:
    described = ("model", "weights", "weights_sha256", "device", "precision", "confidence")
    return {
        "name": name,
        **{key: getattr(engine, key) for key in described},
        "method": engine.method,
        "grid": engine.grid,
    }


def _source(one: ComparedSource) -> dict[str, Any]:
    output = None if one.output is None else readable(one.output)
    return {"source": one.id, "frames": one.frames, "output": output, "error": one.error}


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "units": figures.units,
        "agreement": _interval(figures.agreement),
        "boxes": _found(figures.boxes),
        "classes": {one.name: _found(one) for one in figures.classes},
        "sizes": {one.name: _found(one) for one in figures.sizes},
        "renamed": [_rounded(asdict(one)) for one in figures.renamed],
        "confidence": _measured(figures.confidence),
        "offset": figures.offset
        and dict(zip(_OFFSET, map(_interval, figures.offset), strict=True)),
        "maps": {
            "correlation": figures.correlation and _interval(figures.correlation),
            "difference": round(figures.map_difference, _DIGITS),
            "lift": _measured(figures.lift),
            "flicker": _measured(figures.flicker),
        },
    }


def _found(one: FoundBoxes) -> dict[str, Any]:
    counts = {key: getattr(one, key) for key in ("a", "b", "both", "only_a", "only_b")}
    return {**counts, "more": one.more and _interval(one.more)}


def _measured(one: Measured | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {**_rounded({"a": one.a, "b": one.b}), "difference": _interval(one.difference)}


def _interval(one: Interval) -> dict[str, Any]:
    """A figure and its interval; bounds that are not known are null."""
    return {
        "mean": round(one.mean, _DIGITS),
        "low": None if one.low == -float("inf") else round(one.low, _DIGITS),
        "high": None if one.high == float("inf") else round(one.high, _DIGITS),
    }


def _truth(truth: TruthScores) -> dict[str, Any]:
    return {
        "frames": truth.frames,
        "a": _accuracy(truth.a, truth.f1[0]),
        "b": _accuracy(truth.b, truth.f1[1]),
        "gain": _interval(truth.gain),
        "classes": {
            one.label: {"objects": one.objects, "a": _accuracy(one.a), "b": _accuracy(one.b)}
            for one in truth.classes
        },
        "unknown": dict(truth.unknown),
    }


def _accuracy(one: Accuracy, f1: float | None = None) -> dict[str, Any]:
    return _rounded(asdict(one) | ({} if f1 is None else {"f1": f1}))


def _probes(report: ProbeReport) -> dict[str, Any]:
    return {
        "frames": report.frames,
        "plain": round(report.plain, _DIGITS),
        "sum_of_confidence": [round(one, _DIGITS) for one in report.sure],
        "changed": {
            one.name: {
                "meaning": PROBES[one.name].meaning,
                **_rounded({"a": one.changed_a, "b": one.changed_b}),
            }
            for one in report.results
        },
    }


def _frame(one: ComparedFrame) -> dict[str, Any]:
    values: dict[str, Any] = {
        "source": one.source,
        "index": one.index,
        "time": one.time,
        "agreement": one.agreement,
        "correlation": one.correlation,
        "map_difference": one.difference,
        "flicker": [None if each is None else round(each, _DIGITS) for each in one.flicker],
    }
    counts = zip(_KEYS.values(), one.counts, strict=True)
    return _rounded(values) | dict(counts)


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, _DIGITS) if isinstance(value, float) else value
        for key, value in values.items()
    }
