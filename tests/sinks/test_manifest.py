import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import __version__, schemas
from streamcam.errors import SinkError
from streamcam.sinks.base import EngineKey, Provenance
from streamcam.sinks.manifest import (
    SourceIdentity,
    find_complete,
    read_manifest,
    write_manifest,
)
from streamcam.types import Counts, JobReport, Outcome, SourceInfo

MANIFEST = jsonschema.Draft202012Validator(
    schemas.schema("manifest"), format_checker=jsonschema.FormatChecker()
)
ENGINE = Provenance(
    model="nano",
    classes=("person", "car"),
    method="eigencam",
    device="cpu",
    weights_sha256="0f" * 32,
    settings={"sampling": {"max_fps": 5.0, "every": None}},
    key=EngineKey({"model.classes": ["car"], "cam.method": "eigencam"}),
)
IDENTITY = SourceIdentity("/srv/dir/clip.mp4", "ab" * 16)
INFO = SourceInfo("dir/clip.mp4", 768, 432, Fraction(1, 12_800), Fraction(30_000, 1001))
COUNTS = Counts(100, 20, 1, {"queue full": 2}, {"person": 31})


def report(folder: Path) -> JobReport:
    outputs = {
        "video": folder / "clip.heatmap.mp4",
        "records": folder / "clip.detections.jsonl",
    }
    return JobReport("dir/clip.mp4", Outcome.DONE, COUNTS, outputs, 3.14159, 20.0)


def write(
    path: Path,
    done: JobReport,
    engine: Provenance = ENGINE,
    identity: SourceIdentity | None = IDENTITY,
) -> Any:
    started = datetime(2025, 3, 1, 12, tzinfo=UTC)
    ended = datetime(2025, 3, 1, 12, 0, 3, tzinfo=UTC)
    written = write_manifest(
        path, INFO, done, engine, identity=identity, started=started, ended=ended
    )
    assert written == path
    content = json.loads(path.read_text(encoding="utf-8"))
    MANIFEST.validate(content)
    return content


def test_a_manifest_tells_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clip.manifest.json"
    assert write(path, report(path.parent)) == {
        "schema_version": 1,
        "streamcam_version": __version__,
        "source": {
            "id": "dir/clip.mp4",
            "location": "/srv/dir/clip.mp4",
            "fingerprint": "ab" * 16,
            "width": 768,
            "height": 432,
            "time_base": "1/12800",
            "frame_rate": "30000/1001",
            "live": False,
            "still": False,
        },
        "engine": {
            "model": "nano",
            "weights_sha256": "0f" * 32,
            "classes": ["person", "car"],
            "method": "eigencam",
            "device": "cpu",
            "key": sha256(b'{"cam.method":"eigencam","model.classes":["car"]}').hexdigest(),
            "parts": {"model.classes": ["car"], "cam.method": "eigencam"},
        },
        "settings": {"sampling": {"max_fps": 5.0, "every": None}},
        "started": "2025-03-01T12:00:00.000Z",
        "ended": "2025-03-01T12:00:03.000Z",
        "seconds": 3.142,
        "media_seconds": 20.0,
        "counts": {
            "decoded": 100,
            "explained": 20,
            "corrupt": 1,
            "dropped": {"queue full": 2},
            "detections": {"person": 31},
        },
        "outcome": "done",
        "error": None,
        "outputs": {"video": "clip.heatmap.mp4", "records": "clip.detections.jsonl"},
    }
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_is_told_with_its_remedy(tmp_path: Path) -> None:
    failed = replace(
        report(tmp_path), outcome=Outcome.FAILED, error="it broke", hint="mend it", outputs={}
    )
    content = write(tmp_path / "x.manifest.json", failed, replace(ENGINE, weights_sha256=None))
    assert content["error"] == {"message": "it broke", "hint": "mend it"}
    assert content["engine"]["weights_sha256"] is None
    without_hint = write(tmp_path / "x.manifest.json", replace(failed, hint=None))
    assert without_hint["error"] == {"message": "it broke", "hint": None}


def test_results_are_complete_while_all_their_files_are_there(tmp_path: Path) -> None:
    path = tmp_path / "clip.manifest.json"
    done = report(tmp_path)
    for output in done.outputs.values():
        output.write_bytes(b"result")
    write(path, done)
    found = read_manifest(path)
    assert found is not None
    assert found.outputs == done.outputs
    assert found.outcome is Outcome.DONE
    assert found.content["counts"]["explained"] == 20
    assert found.complete
    done.outputs["video"].unlink()
    assert not found.complete


def completed(path: Path, engine: Provenance = ENGINE) -> Path:
    """Write a manifest and the files that it lists."""
    done = report(path.parent)
    for output in done.outputs.values():
        output.write_bytes(b"result")
    write(path, done, engine)
    return path


def without_identity(path: Path) -> Path:
    """Make a manifest one of an earlier version, which did not know of identities."""
    content = json.loads(path.read_bytes())
    for section, name in (("source", "location"), ("source", "fingerprint")):
        del content[section][name]
    for name in ("key", "parts"):
        del content["engine"][name]
    path.write_text(json.dumps(content))
    return path


def other_key() -> EngineKey:
    return EngineKey({**ENGINE.key.parts, "cam.method": "layercam"})


def never_asked() -> EngineKey:
    raise AssertionError("the engine's key does not matter here")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (IDENTITY, True),
        (replace(IDENTITY, location="/moved/clip.mp4"), True),
        (replace(IDENTITY, fingerprint="cd" * 16), False),
        (replace(IDENTITY, fingerprint=None), False),
    ],
)
def test_results_are_those_of_the_content(
    tmp_path: Path, source: SourceIdentity, found: bool
) -> None:
    path = completed(tmp_path / "clip.manifest.json")
    absent = tmp_path / "absent.manifest.json"
    key = (lambda: ENGINE.key) if found else never_asked
    manifest = find_complete(map(read_manifest, [absent, path]), source, key)
    assert (manifest is not None) is found
    assert manifest is None or manifest.path == path


def test_results_made_differently_count_only_where_any_do(tmp_path: Path) -> None:
    path = completed(tmp_path / "clip.manifest.json")
    assert find_complete(map(read_manifest, [path]), IDENTITY, other_key) is None
    assert find_complete(map(read_manifest, [path]), IDENTITY, None) is not None
    other = replace(IDENTITY, fingerprint="cd" * 16)
    assert find_complete(map(read_manifest, [path]), other, None) is None, (
        "a changed file is another matter"
    )
    path.with_name("clip.detections.jsonl").unlink()
    assert find_complete(map(read_manifest, [path]), IDENTITY, None) is None


def test_manifests_that_tell_no_identity_count_only_where_any_do(tmp_path: Path) -> None:
    path = without_identity(completed(tmp_path / "clip.manifest.json"))
    here = SourceIdentity(str(Path("dir/clip.mp4").absolute()), "ab" * 16)
    assert find_complete(map(read_manifest, [path]), here, never_asked) is None
    assert find_complete(map(read_manifest, [path]), here, None) is not None
    assert find_complete(map(read_manifest, [path]), IDENTITY, None) is None, (
        "of a file in another folder"
    )


def test_an_engine_key_does_not_depend_on_order() -> None:
    parts = ENGINE.key.parts
    assert EngineKey(dict(reversed(parts.items()))).digest == ENGINE.key.digest
    assert other_key().digest != ENGINE.key.digest


def test_a_camera_has_no_identity(tmp_path: Path) -> None:
    content = write(tmp_path / "x.manifest.json", report(tmp_path), identity=None)
    assert (content["source"]["location"], content["source"]["fingerprint"]) == (None, None)


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.FAILED])
def test_results_of_unfinished_work_are_not_complete(tmp_path: Path, outcome: Outcome) -> None:
    write(tmp_path / "x.manifest.json", replace(report(tmp_path), outcome=outcome, outputs={}))
    found = read_manifest(tmp_path / "x.manifest.json")
    assert found is not None
    assert not found.complete


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"{}",
        b'{"schema_version": 2, "outcome": "done", "outputs": {}}',
        b'{"schema_version": 1, "outcome": "eaten", "outputs": {}}',
        b'{"schema_version": 1, "outcome": "done", "outputs": []}',
        b'{"schema_version": 1, "outcome": "done", "outputs": {"video": 3}}',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_manifest_of_ours_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_bytes(content)
    assert read_manifest(path) is None


def test_a_missing_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "x.manifest.json") is None
    assert read_manifest(tmp_path) is None


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SinkError, match="taken"):
        write(tmp_path / "taken" / "x.manifest.json", report(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_frames_without_a_map_are_counted_where_there_are_some(tmp_path: Path) -> None:
    path = tmp_path / "clip.manifest.json"
    done = report(tmp_path)
    assert "without_map" not in write(path, done)["counts"]
    counted = replace(done, counts=replace(COUNTS, without_map=2))
    assert write(path, counted)["counts"]["without_map"] == 2
