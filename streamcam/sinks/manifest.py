"""The manifest of a source: what was done to it, with which model and settings, and the outcome."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from streamcam.clock import iso_utc
from streamcam.files import write_file
from streamcam.sinks.base import Provenance, ResultFile
from streamcam.types import Counts, JobReport, Outcome, SourceInfo
from streamcam.version import __version__

SCHEMA_VERSION = 1

MANIFEST = ResultFile("manifest", ".manifest.json", "manifest", "application/json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read; `content` is the whole of it as plain values."""

    outcome: Outcome
    outputs: Mapping[str, Path]
    content: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether the work was completed and all its files still exist."""
        return self.outcome is Outcome.DONE and all(p.exists() for p in self.outputs.values())


def write_manifest(
    path: Path,
    info: SourceInfo,
    report: JobReport,
    engine: Provenance,
    *,
    started: datetime,
    ended: datetime,
) -> Path:
    """Write a manifest in the form of the schema "manifest", complete or not at all.

    Outputs are named relative to the manifest's folder; the times have a time zone.

    Raises:
        SinkError: It cannot be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "streamcam_version": __version__,
        "source": _source(info),
        "engine": {
            "model": engine.model,
            "weights_sha256": engine.weights_sha256,
            "classes": list(engine.classes),
            "method": engine.method,
            "device": engine.device,
        },
        "settings": dict(engine.settings),
        "started": iso_utc(started),
        "ended": iso_utc(ended),
        **_result(path.parent, report),
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return write_file(path, orjson.dumps(content, option=option))


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None where there is none, or one of another schema."""
    try:
        content = orjson.loads(path.read_bytes())
        if content["schema_version"] != SCHEMA_VERSION:
            return None
        outputs = {kind: path.parent / name for kind, name in content["outputs"].items()}
        return Manifest(Outcome(content["outcome"]), outputs, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _source(info: SourceInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "width": info.width,
        "height": info.height,
        "time_base": _ratio(info.time_base),
        "frame_rate": None if info.frame_rate is None else _ratio(info.frame_rate),
        "live": info.live,
        "still": info.still,
    }


def plain_counts(counts: Counts) -> dict[str, Any]:
    return {
        "decoded": counts.decoded,
        "explained": counts.explained,
        "corrupt": counts.corrupt,
        "dropped": dict(counts.dropped),
        "detections": dict(counts.detections),
    }


def _result(folder: Path, report: JobReport) -> dict[str, Any]:
    error = None if report.error is None else {"message": report.error, "hint": report.hint}
    return {
        "seconds": round(report.seconds, 3),
        "media_seconds": round(report.media_seconds, 6),
        "counts": plain_counts(report.counts),
        "outcome": report.outcome.value,
        "error": error,
        "outputs": {
            kind: os.path.relpath(output, folder)
            for kind, output in report.outputs.items()
            if kind != MANIFEST.kind
        },
    }


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
