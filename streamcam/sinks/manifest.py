"""The manifest of a source: what was done to it, with which model and settings, and the outcome.

It is written last: that write is the moment at which a source's results are complete.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from streamcam.clock import iso_utc
from streamcam.files import readable, write_file
from streamcam.sinks.base import EngineKey, Provenance, ResultFile
from streamcam.types import Counts, JobReport, Outcome, SourceInfo
from streamcam.urls import scheme_of
from streamcam.version import __version__

SCHEMA_VERSION = 1

MANIFEST = ResultFile("manifest", ".manifest.json", "manifest", "application/json")


def exists(path: Path, version: str | None) -> bool:
    """Return whether a file exists: it has no versions."""
    del version
    return path.exists()


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which source results are of, and of which content.

    Attributes:
        location: The file's absolute path, or a URL without credentials.
        fingerprint: Digest of the content, see `streamcam.fingerprint`; None where it is not known.
    """

    location: str
    fingerprint: str | None

    def has_content_of(self, other: "SourceIdentity") -> bool:
        return self.fingerprint is not None and self.fingerprint == other.fingerprint

    def is_same_source(self, other: "SourceIdentity") -> bool:
        """Whether both have the same content, or are versions of what lies at the same place."""
        return self.has_content_of(other) or self.location == other.location


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read; `content` is the whole of it as plain values.

    Attributes:
        source: Whose results they are. Of a manifest that does not tell, of an earlier version, the
            location is that of its id, and the fingerprint None.
        key: What they were made with, None where the manifest does not tell.
        versions: Of outputs in object storage, by kind, see `write_manifest`.
        is_there: Whether an output exists, in the version that is given.
    """

    path: Path
    outcome: Outcome
    outputs: Mapping[str, Path]
    source: SourceIdentity
    key: EngineKey | None
    content: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    is_there: Callable[[Path, str | None], bool] = exists

    @property
    def complete(self) -> bool:
        """Whether the work was completed and all its files still exist."""
        versions = self.versions
        return self.outcome is Outcome.DONE and all(
            self.is_there(path, versions.get(kind)) for kind, path in self.outputs.items()
        )


def find_complete(
    manifests: Iterable[Manifest | None],
    source: SourceIdentity,
    key: Callable[[], EngineKey] | None,
) -> Manifest | None:
    """Return the manifest of a source's complete results; None if there are none.

    Args:
        manifests: Those that may be the source's; None for one that is not there.
        source: Results of other content are not this source's.
        key: Returns what the results must have been made with; called only where that decides.
            None takes them whatever they were made with.
    """
    for found in manifests:
        if found is not None and found.complete and _fits(found, source, key):
            return found
    return None


def _fits(found: Manifest, source: SourceIdentity, key: Callable[[], EngineKey] | None) -> bool:
    if key is None and found.source.fingerprint is None:
        return found.source.is_same_source(source)
    if not found.source.has_content_of(source):
        return False
    return key is None or (found.key is not None and found.key.digest == key().digest)


def write_manifest(
    path: Path,
    info: SourceInfo,
    report: JobReport,
    engine: Provenance,
    *,
    started: datetime,
    ended: datetime,
    identity: SourceIdentity | None = None,
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write a manifest in the form of the schema "manifest", complete or not at all.

    Outputs are named relative to the manifest's folder; the times have a time zone; of a live
    source there is no identity. Outputs in object storage have versions: entity tags or checksums,
    of a folder a digest of those of its files.

    Raises:
        SinkError: It cannot be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "streamcam_version": __version__,
        "source": _source(info, identity),
        "engine": {
            "model": engine.model,
            "weights_sha256": engine.weights_sha256,
            "classes": list(engine.classes),
            "method": engine.method,
            "device": engine.device,
            "key": engine.key.digest,
            "parts": dict(engine.key.parts),
            **_quantization(engine),
        },
        "settings": dict(engine.settings),
        "started": iso_utc(started),
        "ended": iso_utc(ended),
        **_result(path.parent, report),
        **({} if versions is None else {"versions": dict(versions)}),
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return write_file(path, orjson.dumps(content, option=option))


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None where there is none, or one of another schema."""
    path = path.absolute()
    try:
        return parse_manifest(path.read_bytes(), path)
    except OSError:
        return None


def parse_manifest(
    text: bytes, path: Path, is_there: Callable[[Path, str | None], bool] = exists
) -> Manifest | None:
    """Return the manifest that a text is; None where it is none, or one of another schema.

    Args:
        text: JSON in the form of the schema "manifest".
        path: Where it is, or would be among files: its outputs' paths begin there.
        is_there: See `Manifest`.
    """
    try:
        content = orjson.loads(text)
        if content["schema_version"] != SCHEMA_VERSION:
            return None
        return Manifest(
            path,
            Outcome(content["outcome"]),
            {kind: path.parent / name for kind, name in content["outputs"].items()},
            _identity(content["source"]),
            _key(content["engine"]),
            content,
            content.get("versions", {}),
            is_there,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _identity(source: Mapping[str, Any]) -> SourceIdentity:
    name = source["id"]
    named_place = name if scheme_of(name) else readable(Path(name).absolute())
    return SourceIdentity(source.get("location") or named_place, source.get("fingerprint"))


def _key(engine: Mapping[str, Any]) -> EngineKey | None:
    parts = engine.get("parts")
    return None if parts is None else EngineKey(parts)


def _quantization(engine: Provenance) -> dict[str, Any]:
    return {} if engine.quantization is None else {"quantization": dict(engine.quantization)}


def _source(info: SourceInfo, identity: SourceIdentity | None) -> dict[str, Any]:
    return {
        "id": info.id,
        "location": None if identity is None else identity.location,
        "fingerprint": None if identity is None else identity.fingerprint,
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
        **({"without_map": counts.without_map} if counts.without_map else {}),
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
            kind: os.path.relpath(str(output), folder)
            for kind, output in report.outputs.items()
            if kind != MANIFEST.kind
        },
    }


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
