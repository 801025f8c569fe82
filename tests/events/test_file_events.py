"""The events of a file, as a sink writes them."""

from fractions import Fraction
from pathlib import Path

import jsonschema
import orjson

from streamcam import schemas
from streamcam.config.event_schema import EventSettings
from streamcam.events.file_events import FileEventSettings, FileEventSink
from streamcam.sinks.base import Provenance, SinkTarget
from streamcam.types import FrameResult, SourceInfo
from tests.events.tracked import found, result


def provenance() -> Provenance:
    return Provenance("stub", (), "eigencam", "cpu")


def sink(folder: Path, **rule: object) -> FileEventSink:
    source = SourceInfo("dir/clip.mp4", 64, 36, Fraction(1, 1000))
    target = SinkTarget(source, folder, "dir/clip", provenance)
    settings = EventSettings.model_validate({"enabled": True, **rule})
    return FileEventSink(target, FileEventSettings(rule=settings, lost_after=3.0))


def frames() -> list[FrameResult]:
    """A person for ten frames, and a dog from the fifth to the end."""
    shown = []
    for n in range(40):
        person = [found(1)] if n < 10 else []
        dog = [found(2, "dog")] if n >= 5 else []
        shown.append(result(n, *person, *dog, live=False, source="dir/clip.mp4"))
    return shown


def test_events_are_lines_in_the_order_of_their_begin(tmp_path: Path) -> None:
    events = sink(tmp_path)
    for frame in frames():
        events.write(frame, None)
        events.write(frame.frame, None)
    path = events.finish()
    assert path == tmp_path / "dir" / "clip.events.jsonl"
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        jsonschema.Draft202012Validator(schemas.schema("event")).validate(line)
    told = [(e["label"], e["begin"]["frame"], e["end"]["frame"], e["source"]) for e in lines]
    assert told == [("person", 0, 9, "dir/clip.mp4"), ("dog", 5, 39, "dir/clip.mp4")]
    assert lines[0]["begin"] == {"frame": 0, "time": 0.0}


def test_a_file_without_events_has_an_empty_file(tmp_path: Path) -> None:
    events = sink(tmp_path, classes=["cat"])
    for frame in frames():
        events.write(frame, None)
    assert events.finish().read_bytes() == b""


def test_an_aborted_file_leaves_nothing(tmp_path: Path) -> None:
    events = sink(tmp_path)
    for frame in frames():
        events.write(frame, None)
    events.abort()
    assert not list(tmp_path.rglob("*"))
