"""Events over HTTP: lists, pages, files, and what is called a false alarm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.config.schema import OutputSettings, Settings
from streamcam.events.event import Event, Suspicion
from streamcam.events.event_store import FILE_NAME, ClipState, EventStore
from streamcam.sinks.pictures import write_still
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, HEAT_STILL, STILL, event_file
from streamcam.sinks.records import line
from tests.events.test_event_store import event
from tests.service.http.conftest import TOKEN, Answer, Serve, Visitor
from tests.service.http.fake_status import FakeStatus
from tests.sinks.live import live


@dataclass
class Kept:
    """A service with events in its store, and files of them."""

    fake: FakeStatus
    output: Path
    store: EventStore

    def put(self, made: Event, clip: ClipState = ClipState.NONE, note: str | None = None) -> Event:
        self.store.put(made, clip, note)
        return made

    def file(self, made: Event, ending: str) -> Path:
        path = event_file(self.output / made.source, made.id, ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def kept(tmp_path: Path, fake: FakeStatus) -> Iterator[Kept]:
    output = tmp_path / "out"
    fake.settings = Settings(output=OutputSettings(folder=output))
    fake.event_store = EventStore(output / FILE_NAME)
    yield Kept(fake, output, fake.event_store)
    fake.event_store.close()


def listed(ask: Visitor, query: str = "") -> list[str]:
    answer = ask(f"/api/events?{query}")
    assert answer.status == 200, answer.text
    return [each["id"] for each in answer.json["events"]]


def test_without_a_store_there_are_no_events(fake: FakeStatus, serve: Serve) -> None:
    ask = serve(fake)
    assert ask("/api/events").json == {"events": [], "next": None}
    assert ask("/api/events/choices").json == {"cameras": [], "classes": [], "zones": []}
    assert ask("/api/events/1.000000-aaaaaa").status == 404


def test_an_event_is_told_with_its_files_and_why_there_is_no_clip(kept: Kept, serve: Serve) -> None:
    made = kept.put(
        event(0, "yard", "person", ("door",), Suspicion.OFF_OBJECT), note="not recorded"
    )
    write_still(kept.file(made, STILL), np.zeros((36, 64, 3), np.uint8))
    answer = serve(kept.fake)(f"/api/events/{made.id}").json
    assert (answer["source"], answer["label"], answer["zones"]) == ("yard", "person", ["door"])
    assert answer["begin"]["time_utc"] == "2025-03-01T12:00:00Z"
    assert answer["focus"]["share_off_object"] == 0.25
    assert answer["suspicions"] == ["off-object"]
    assert (answer["clip"], answer["clip_note"]) == ("none", "not recorded")
    assert answer["files"] == {"snapshot": f"/api/events/{made.id}/snapshot"}


def test_lists_are_filtered_and_the_newest_is_first(kept: Kept, serve: Serve) -> None:
    person = kept.put(event(1, "yard", "person", ("door",)))
    dog = kept.put(event(2, "yard", "dog", ("gate",), Suspicion.FLICKERING))
    car = kept.put(event(3, "street", "car"))
    ask = serve(kept.fake)
    assert listed(ask) == [car.id, dog.id, person.id]
    assert listed(ask, "camera=yard&class=dog&class=person") == [dog.id, person.id]
    assert listed(ask, "zone=door") == [person.id]
    assert listed(ask, "suspects=true") == [dog.id]
    since, until = "2025-03-01T12:00:02Z", "2025-03-01T13:00:03%2B01:00"
    assert listed(ask, f"since={since}") == [car.id, dog.id]
    assert listed(ask, f"since={since}&until={until}") == [dog.id]
    assert ask("/api/events/choices").json == {
        "cameras": ["street", "yard"],
        "classes": ["car", "dog", "person"],
        "zones": ["door", "gate"],
    }
    assert ask("/api/events?since=2025-03-01T12:00:02").status == 422, "which zone?"
    assert ask("/api/events?limit=0").status == 422


def test_pages_go_on_where_the_last_one_ended(kept: Kept, serve: Serve) -> None:
    made = [kept.put(event(n)).id for n in range(5)]
    ask = serve(kept.fake)
    first = ask("/api/events?limit=3").json
    second = ask(f"/api/events?limit=3&before={first['next']}").json
    pages = [[each["id"] for each in page["events"]] for page in (first, second)]
    assert pages == [[*reversed(made[2:])], [*reversed(made[:2])]]
    assert second["next"] is None


def test_a_clip_is_served_in_parts_with_its_timeline(kept: Kept, serve: Serve) -> None:
    made = kept.put(event(0), ClipState.READY)
    whole = bytes(range(256))
    kept.file(made, CLIP).write_bytes(whole)
    lines = [line(live(n, n / 5, found=n > 2)) for n in range(10)]
    kept.file(made, CLIP_RECORDS).write_bytes(b"".join(lines))
    ask = serve(kept.fake)
    assert ask(f"/api/events/{made.id}").json["files"]["clip"] == f"/api/events/{made.id}/clip"
    answer = ask(f"/api/events/{made.id}/clip", Range="bytes=10-19")
    assert (answer.status, answer.body) == (206, whole[10:20])
    assert answer.headers["content-type"] == "video/mp4"
    timeline = ask(f"/api/events/{made.id}/timeline").json
    assert (timeline["start"], sum(timeline["frames"])) == (0, 10)
    assert [each["total"] for each in timeline["classes"]] == [7]


@pytest.mark.parametrize(("kind", "ending"), [("snapshot", STILL), ("heat", HEAT_STILL)])
def test_stills_come_whole_or_smaller(kept: Kept, serve: Serve, kind: str, ending: str) -> None:
    made = kept.put(event(0))
    write_still(kept.file(made, ending), np.full((90, 160, 3), (200, 30, 30), np.uint8))
    ask = serve(kept.fake)

    def shape(answer: Answer) -> tuple[int, ...]:
        assert answer.headers["content-type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture[0, 0].tolist() == pytest.approx([30, 30, 200], abs=8)
        return picture.shape

    assert shape(ask(f"/api/events/{made.id}/{kind}")) == (90, 160, 3)
    assert shape(ask(f"/api/events/{made.id}/{kind}?width=64")) == (36, 64, 3)
    assert shape(ask(f"/api/events/{made.id}/{kind}?width=4000")) == (90, 160, 3)
    assert ask(f"/api/events/{made.id}/{kind}?width=1").status == 422


def test_files_that_are_gone_are_not_found(kept: Kept, serve: Serve) -> None:
    made = kept.put(event(0), ClipState.READY)
    ask = serve(kept.fake)
    assert ask(f"/api/events/{made.id}").json["files"] == {}
    for kind in ("clip", "timeline", "snapshot", "heat"):
        assert ask(f"/api/events/{made.id}/{kind}").status == 404
    kept.file(made, STILL).write_bytes(b"no picture")
    assert ask(f"/api/events/{made.id}/snapshot?width=64").status == 404


def test_only_who_has_the_token_may_dismiss(kept: Kept, serve: Serve, token_file: Path) -> None:
    made = kept.put(event(0))
    without = serve(kept.fake)
    assert without(f"/api/events/{made.id}/dismiss", "POST").status == 403
    ask = serve(kept.fake, token_file=token_file)
    post: Callable[[str], Answer] = lambda path: ask(  # noqa: E731
        path, "POST", Authorization=f"Bearer {TOKEN}"
    )
    assert ask(f"/api/events/{made.id}/dismiss", "POST").status == 401
    assert listed(without) == [made.id]
    assert post(f"/api/events/{made.id}/dismiss").status == 204
    assert (listed(without), listed(without, "dismissed=true")) == ([], [made.id])
    assert post(f"/api/events/{made.id}/restore").status == 204
    assert listed(without) == [made.id]
    assert post("/api/events/1.000000-aaaaaa/dismiss").status == 404
