"""The event store: real SQLite, also when its process is killed."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from streamcam.errors import UsageError
from streamcam.events.event import Event, EventFocus, Moment, Suspicion
from streamcam.events.event_store import FILE_NAME, ClipState, EventFilter, EventStore

BEGIN = 1_740_830_400.0
_numbers = itertools.count()


def event(
    seconds: float = 0.0,
    source: str = "yard",
    label: str = "person",
    zones: tuple[str, ...] = (),
    *suspicions: Suspicion,
    running: bool = False,
) -> Event:
    began = BEGIN + seconds
    moment = Moment(0, seconds, datetime.fromtimestamp(began, UTC))
    return Event(
        id=f"{began:.6f}-{next(_numbers):06d}",
        source=source,
        label=label,
        class_id=1,
        track_id=1,
        begin=moment,
        best=moment,
        end=None if running else moment,
        box=(0.0, 1.0, 2.0, 3.0),
        confidence=0.9,
        zones=zones,
        frames=1,
        focus=EventFocus(1.5, 0.5, 0.25),
        suspicions=suspicions,
        latest=moment,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    opened = EventStore(tmp_path / FILE_NAME)
    yield opened
    opened.close()


def ids(store: EventStore, chosen: EventFilter | None = None, **page: object) -> list[str]:
    limit, before = page.get("limit", 100), page.get("before")
    assert isinstance(limit, int)
    assert before is None or isinstance(before, str)
    return [each.id for each in store.find(chosen or EventFilter(), limit, before)]


def test_an_event_is_kept_in_the_form_of_the_schema(store: EventStore) -> None:
    made = event(0, "yard", "person", ("door",), Suspicion.FLICKERING)
    store.put(made, ClipState.PENDING)
    kept = store.get(made.id)
    assert kept is not None
    jsonschema.Draft202012Validator(schemas.schema("event")).validate(kept.as_json())
    assert kept.as_json()["begin"]["time_utc"] == "2025-03-01T12:00:00.000Z"
    assert (kept.clip, kept.dismissed) == (ClipState.PENDING, False)
    assert store.get("1.000000-nosuch") is None


def test_events_are_found_by_what_they_are_the_newest_first(store: EventStore) -> None:
    person = event(1, "yard", "person", ("door", "gate"))
    dog = event(2, "yard", "dog", ("gate",), Suspicion.OFF_OBJECT)
    car = event(3, "street", "car")
    for each in (car, person, dog):
        store.put(each, ClipState.NONE)
    assert ids(store) == [car.id, dog.id, person.id]
    for chosen, wanted in [
        (EventFilter(sources=("yard",)), [dog, person]),
        (EventFilter(sources=("yard", "street"), labels=("car", "person")), [car, person]),
        (EventFilter(zones=("door",)), [person]),
        (EventFilter(zones=("door", "gate")), [dog, person]),
        (EventFilter(labels=("dog",), zones=("door",)), []),
        (EventFilter(suspects=True), [dog]),
        (EventFilter(since=BEGIN + 2), [car, dog]),
        (EventFilter(until=BEGIN + 2), [person]),
        (EventFilter(since=BEGIN + 1.5, until=BEGIN + 2.5), [dog]),
        (EventFilter(dismissed=True), []),
    ]:
        assert ids(store, chosen) == [each.id for each in wanted], chosen
    assert store.choices() == {
        "source": ["street", "yard"],
        "label": ["car", "dog", "person"],
        "zone": ["door", "gate"],
    }


def test_pages_follow_each_other_without_gaps(store: EventStore) -> None:
    made = [event(n // 3, label="dog" if n % 2 else "cat") for n in range(25)]
    for each in made:
        store.put(each, ClipState.NONE)
    dogs, last = [], None
    while page := ids(store, EventFilter(labels=("dog",)), limit=5, before=last):
        dogs += page
        last = page[-1]
    assert dogs == [each.id for each in reversed(made) if each.label == "dog"]


def test_a_dismissed_event_is_listed_only_when_asked_for(store: EventStore) -> None:
    one, other = event(1), event(2)
    for each in (one, other):
        store.put(each, ClipState.NONE)
    assert store.dismiss(one.id)
    assert not store.dismiss("1.000000-nosuch")
    assert ids(store) == [other.id]
    assert ids(store, EventFilter(dismissed=True)) == [one.id]
    store.put(replace(one, confidence=0.95), ClipState.NONE)
    assert ids(store) == [other.id], "what is told of it later does not bring it back"
    store.dismiss(one.id, dismissed=False)
    assert ids(store) == [other.id, one.id]


def test_clips_are_due_once_their_event_is_over(store: EventStore) -> None:
    made = event(1, running=True)
    store.put(made, ClipState.PENDING)
    assert store.clips_due() == []
    store.put(replace(made, end=made.begin), ClipState.PENDING)
    assert [each.id for each in store.clips_due()] == [made.id]
    store.set_clip(made.id, ClipState.READY, begin="2025-03-01T12:00:00.000Z")
    assert store.clips_due() == []
    kept = store.get(made.id)
    assert kept is not None
    assert (kept.clip, kept.clip_begin) == (ClipState.READY, "2025-03-01T12:00:00.000Z")


def test_old_events_are_deleted_but_for_those_that_last(store: EventStore) -> None:
    old, running, new = event(1, zones=("door",)), event(2, running=True), event(10)
    for each in (old, running, new):
        store.put(each, ClipState.NONE)
    assert store.delete_before(BEGIN + 10) == 1
    assert ids(store) == [new.id, running.id]
    assert store.choices()["zone"] == []


def test_a_folder_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no events in"):
        EventStore.open_existing(tmp_path)


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from streamcam.events.event_store import ClipState, EventStore
from tests.events.test_event_store import event

store = EventStore(Path(sys.argv[1]))
for number in range(10**6):
    made = event(number, zones=("door",), running=True)
    store.put(made, ClipState.PENDING)
    store.put(replace(made, end=made.begin), ClipState.PENDING)
    store.put(event(number + 0.5, running=True), ClipState.PENDING)
    print(made.id, flush=True)
"""


def test_a_killed_process_loses_no_event_that_was_over(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    told = [writer.stdout.readline().strip() for _ in range(50)]
    os.kill(writer.pid, signal.SIGKILL)
    told += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    store = EventStore(path)
    before = {each.id: each.content for each in store.find(EventFilter(), 10**6)}
    assert all(before[each]["end"] is not None for each in told)
    closed = store.close_running(("yard",))
    assert len(closed) >= len(told) - 1
    assert all(each.content["end"] == each.content["begin"] for each in closed)
    assert store.close_running(("yard",)) == []
    assert len(store.find(EventFilter(), 10**6)) == len(before)
    store.close()


def test_a_hundred_thousand_events_are_listed_at_once(store: EventStore) -> None:
    """Each list takes a millisecond or two; the bound is that of a busy machine."""
    labels = ("person", "car", "dog")
    rows = [
        (f"{BEGIN + n:.6f}-aaaaaa", f"cam{n % 8}", labels[n % 3], n % 50 == 0)
        for n in range(100_000)
    ]
    with store._database.transaction():
        store._database._connection.executemany(
            "INSERT INTO events (id, source, label, running, suspect, clip, content)"
            " VALUES (?, ?, ?, 0, ?, 'none', '{}')",
            rows,
        )
        store._database._connection.executemany(
            "INSERT INTO zones VALUES (?, ?)", [("door", row[0]) for row in rows[::2]]
        )
    for chosen in (
        EventFilter(),
        EventFilter(sources=("cam1",), labels=("dog",), zones=("door",)),
        EventFilter(zones=("nowhere",)),
        EventFilter(suspects=True),
        EventFilter(since=BEGIN + 50_000, until=BEGIN + 60_000, labels=("car",)),
    ):
        assert min(seconds_to_find(store, chosen) for _ in range(3)) < 0.2, chosen


def seconds_to_find(store: EventStore, chosen: EventFilter) -> float:
    began = time.perf_counter()
    store.find(chosen, 100)
    store.choices()
    return time.perf_counter() - began
