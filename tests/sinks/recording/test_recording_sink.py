"""A camera's segments, and the manifest beside them."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamcam import schemas
from streamcam.errors import SinkError
from streamcam.sinks.base import Provenance, SinkTarget
from streamcam.sinks.recording.recorder import RecordingSettings, RecordingSink
from streamcam.types import SourceInfo
from tests.sinks.live import live, record

PROVENANCE = Provenance(
    "nano", ("person",), "eigencam", "cpu", "0" * 64, {"model": {"name": "nano"}}
)


def recording(folder: Path) -> RecordingSink:
    camera = SourceInfo("door", 0, 0, Fraction(1, 1000), live=True)
    target = SinkTarget(camera, folder, "door", lambda: PROVENANCE)
    return RecordingSink(target, RecordingSettings())


def manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "door.manifest.json").read_text())
    jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(content)
    return content


def test_the_manifest_is_there_from_the_first_frame_on_and_complete_at_the_end(
    tmp_path: Path,
) -> None:
    made = recording(tmp_path)
    record(made, live(0, 0.0))
    begun = manifest(tmp_path)
    assert begun["outcome"] == "running"
    assert begun["engine"]["model"] == "nano"
    assert (begun["source"]["id"], begun["source"]["width"], begun["source"]["live"]) == (
        "door",
        64,
        True,
    )
    record(made, live(1, 0.2), live(2, 0.4, found=False))
    assert made.finish() == tmp_path
    ended = manifest(tmp_path)
    assert ended["outcome"] == "stopped"
    assert (ended["counts"]["explained"], ended["counts"]["detections"]) == (3, {"person": 2})
    assert ended["started"] == begun["started"]


def test_without_a_frame_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="no frame"):
        recording(tmp_path).finish()
    assert list(tmp_path.iterdir()) == []
