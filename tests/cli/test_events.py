"""`streamcam events`, as a user would run it, beside a service that may be running."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.events.event import Event, Suspicion
from streamcam.events.event_store import FILE_NAME, ClipState, EventStore
from streamcam.sinks.pictures import write_still
from streamcam.sinks.recording.naming import CLIP, STILL, event_file
from tests.cli.conftest import Streamcam
from tests.events.test_event_store import event

HOSTILE = "per\x1b[31mson"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """An output folder with a store that stays open, as that of a running service does."""
    output = tmp_path_factory.mktemp("out")
    events = [
        event(0, "yard", "person", ("door",)),
        event(60, "yard", HOSTILE, (), Suspicion.OFF_OBJECT),
        event(86_400, "street", "car", ("gate",), running=True),
    ]
    store = EventStore(output / FILE_NAME)
    for each in events:
        store.put(each, ClipState.PENDING)
    store.set_clip(events[0].id, ClipState.READY, begin="2025-03-01T12:00:00.000Z")
    store.set_clip(events[1].id, ClipState.NONE, note="nothing was recorded")
    for ending, content in ((CLIP, b"a clip"), (STILL, b"")):
        path = event_file(output / "yard", events[0].id, ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    write_still(path, np.zeros((36, 64, 3), np.uint8))
    return output, events


def listed(streamcam: Streamcam, output: Path, *words: str) -> list[dict[str, object]]:
    done = streamcam("events", "list", "--json", *words, "--output", output)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_list_is_an_object_a_line_in_the_form_of_the_schema(
    streamcam: Streamcam, made: tuple[Path, list[Event]]
) -> None:
    output, events = made
    found = listed(streamcam, output)
    validator = jsonschema.Draft202012Validator(schemas.schema("event"))
    for each in found:
        validator.validate(each)
    assert [each["id"] for each in found] == [each.id for each in events], "the latest last"
    assert found[0]["files"] == {
        kind: str(event_file(output / "yard", events[0].id, ending))
        for kind, ending in (("clip", CLIP), ("snapshot", STILL))
    }


def test_filters(streamcam: Streamcam, made: tuple[Path, list[Event]]) -> None:
    output, (person, doubtful, car) = made
    for words, wanted in [
        (("--camera", "yard", "--class", "person"), [person]),
        (("--zone", "gate", "--zone", "door"), [person, car]),
        (("--suspects",), [doubtful]),
        (("--day", "2025-03-02"), [car]),
        (("--since", "2025-03-01T12:01", "--until", "2025-03-01T14:00+01:00"), [doubtful]),
        (("--limit", "1"), [car]),
    ]:
        assert [each["id"] for each in listed(streamcam, output, *words)] == [
            each.id for each in wanted
        ], words


def test_the_table_shows_them_and_lets_no_label_rule_the_terminal(
    streamcam: Streamcam, made: tuple[Path, list[Event]]
) -> None:
    output, events = made
    shown = streamcam("events", "list", "--output", output).stdout
    assert all(each.id in shown for each in events)
    assert "2025-03-02 12:00:00  lasts  street" in shown
    assert ", off-object?" in shown
    assert "\x1b" not in shown
    facts = streamcam("events", "show", events[0].id, "--output", output).stdout
    assert "begin time utc" in facts
    assert "2025-03-01T12:00:00.000Z" in facts


def test_export_copies_what_there_is(
    streamcam: Streamcam, made: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    output, (person, doubtful, _) = made
    done = streamcam("events", "export", person.id, doubtful.id, "--to", tmp_path, "-o", output)
    assert done.returncode == 0, done.stderr
    assert f"{doubtful.id}: no clip: nothing was recorded" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"{person.id}.mp4", f"{person.id}.jpg", f"{person.id}.json", f"{doubtful.id}.json",
    }  # fmt: skip
    assert (tmp_path / f"{person.id}.mp4").read_bytes() == b"a clip"
    assert json.loads((tmp_path / f"{person.id}.json").read_bytes())["label"] == "person"


def test_dismissed_events_leave_the_list_and_come_back(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    store = EventStore(tmp_path / FILE_NAME)
    one, other = event(0), event(1)
    for each in (one, replace(other, confidence=0.1)):
        store.put(each, ClipState.NONE)
    store.close()
    done = streamcam("events", "dismiss", one.id, "1.000000-nosuch", "-o", tmp_path)
    assert (done.returncode, done.stdout) == (1, "1 event dismissed\n")
    assert "no event 1.000000-nosuch" in done.stderr
    assert [each["id"] for each in listed(streamcam, tmp_path)] == [other.id]
    assert [each["id"] for each in listed(streamcam, tmp_path, "--dismissed")] == [one.id]
    streamcam("events", "restore", one.id, "-o", tmp_path)
    assert len(listed(streamcam, tmp_path)) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("list", "--day", "yesterday"), "--day: must be a day such as"),
        (("list", "--since", "noon"), "--since: must be a time such as"),
        (("list", "--day", "2025-03-01", "--until", "2025-03-02"), "name either a --day"),
        (("show", "1.000000-nosuch"), "no event 1.000000-nosuch in"),
    ],
)
def test_faults(
    streamcam: Streamcam, made: tuple[Path, list[Event]], words: tuple[str, ...], message: str
) -> None:
    done = streamcam("events", *words, "--output", made[0])
    assert done.returncode == 2
    assert message in done.stderr


def test_a_folder_without_events(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("events", "list", "--output", tmp_path)
    assert done.returncode == 2
    assert "no events in" in done.stderr


def test_a_run_writes_the_events_of_a_file(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam(
        *("run", "demo://street?seconds=5", "--events", "--video", "off", "--json", "-o", tmp_path)
    )
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout.splitlines()[-1])
    outputs = {kind: Path(path) for kind, path in report["outputs"].items()}
    events = [json.loads(line) for line in outputs["events"].read_bytes().splitlines()]
    records = [json.loads(line) for line in outputs["records"].read_bytes().splitlines()]
    assert {"person", "car"} <= {each["label"] for each in events}
    found = {record["frame"]: record["detections"] for record in records}
    for each in events:
        jsonschema.Draft202012Validator(schemas.schema("event")).validate(each)
        assert each["end"]["time"] - each["begin"]["time"] >= 1
        for moment in ("begin", "best", "end"):
            there = found[each[moment]["frame"]]
            assert each["track_id"] in [detection["track_id"] for detection in there]
        assert each["frames"] == sum(
            each["track_id"] in [detection["track_id"] for detection in there]
            for there in found.values()
        )
