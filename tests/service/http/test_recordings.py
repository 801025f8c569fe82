"""A camera's recordings: when there are any, and the timelines of periods."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamcam.service.http import recordings
from tests.service.http.conftest import Serve, Visitor
from tests.service.http.fake_status import FakeStatus
from tests.service.http.segments import RATE, write_segment

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(fake: FakeStatus, tmp_path: Path) -> Path:
    fake.add("front")
    fake.recorded["front"] = tmp_path / "front"
    fake.recorded["front"].mkdir()
    return fake.recorded["front"]


def period(begin: datetime, end: datetime, kind: str = "timeline") -> str:
    def text(moment: datetime) -> str:
        return moment.isoformat().replace("+00:00", "Z")

    return f"/api/cameras/front/{kind}?from={text(begin)}&to={text(end)}"


def test_a_periods_timeline_equals_its_records(
    folder: Path, fake: FakeStatus, serve: Serve
) -> None:
    begin = NOON.replace(microsecond=350_000)
    write_segment(folder, begin, 60, ["person", "person", "car"], lift=3)
    write_segment(folder, begin + timedelta(minutes=5), 30, ["person"], lift=1.5)
    answer = serve(fake)(period(NOON, NOON + timedelta(minutes=10))).json
    assert (answer["begin"], answer["step"], answer["pending"]) == ("2026-03-01T12:00:00Z", 1, 0)
    assert len(answer["frames"]) == 600
    assert answer["segments"] == [
        {"name": "20260301T120000", "begin": "2026-03-01T12:00:00.350000Z", "seconds": 60},
        {"name": "20260301T120500", "begin": "2026-03-01T12:05:00.350000Z", "seconds": 30},
    ]
    assert answer["frames"] == [RATE] * 60 + [0] * 240 + [RATE] * 30 + [0] * 270
    assert {answer["flicker"][0], answer["flicker"][61]} == {0.25, None}
    person, car = answer["classes"]
    assert (person["label"], person["colour"], person["total"]) == ("person", "#56b4e9", 750)
    assert person["counts"] == [2] * 60 + [None] * 240 + [1] * 30 + [None] * 270
    assert person["lifts"] == [3] * 60 + [None] * 240 + [1.5] * 30 + [None] * 270
    assert (car["label"], car["colour"], car["total"]) == ("car", "#cc79a7", 300)
    assert car["counts"][300:330] == [0] * 30


def test_what_began_before_a_period_reaches_into_it(
    folder: Path, fake: FakeStatus, serve: Serve
) -> None:
    write_segment(folder, NOON - timedelta(minutes=3), 240, ["cat"])
    write_segment(folder, NOON - timedelta(minutes=9), 60, ["dog"])
    write_segment(folder, NOON + timedelta(minutes=2), 10, ["cow"])
    answer = serve(fake)(period(NOON, NOON + timedelta(minutes=2))).json
    assert [segment["name"] for segment in answer["segments"]] == ["20260301T115700"]
    assert answer["frames"] == [RATE] * 60 + [0] * 60
    assert [(each["label"], each["total"]) for each in answer["classes"]] == [("cat", 300)]


def test_a_day_is_told_in_minutes_and_the_longest_too(
    folder: Path, fake: FakeStatus, serve: Serve
) -> None:
    write_segment(folder, NOON, 60, ["cat"])
    ask = serve(fake)
    midnight = NOON.replace(hour=0)
    for hours, step, buckets in ((23, 60, 1380), (25, 60, 1500), (48, 120, 1440), (1, 5, 720)):
        answer = ask(period(midnight, midnight + timedelta(hours=hours))).json
        assert (answer["step"], len(answer["frames"])) == (step, buckets), hours
    # A period may begin at any second.
    odd = ask(period(NOON - timedelta(seconds=61), NOON + timedelta(seconds=59.5))).json
    assert odd["frames"] == [0] * 61 + [RATE] * 60


def test_hours_with_recordings_tell_their_first_and_last_segment(
    folder: Path, fake: FakeStatus, serve: Serve
) -> None:
    for minutes in (-65, 5, 25, 59, 24 * 60 * 20):
        write_segment(folder, NOON + timedelta(minutes=minutes), 1)
    (folder / "2026-03-01/12/30-00.mp4.part").write_bytes(b"still being written")
    answer = serve(fake)(period(NOON, NOON + timedelta(days=7), "hours")).json
    assert (answer["earliest"], answer["latest"]) == ("2026-03-01", "2026-03-21")
    first, last = "2026-03-01T12:05:00Z", "2026-03-01T12:59:00Z"
    assert answer["hours"] == [{"first": first, "last": last, "segments": 3}]


def test_of_an_empty_folder_there_is_nothing(fake: FakeStatus, serve: Serve) -> None:
    ask = serve(fake)
    hours = ask(period(NOON, NOON + timedelta(days=1), "hours")).json
    assert hours == {"earliest": None, "latest": None, "hours": []}
    answer = ask(period(NOON, NOON + timedelta(minutes=1))).json
    assert (answer["segments"], answer["classes"], answer["frames"]) == ([], [], [0] * 60)


@pytest.mark.parametrize("content", [b"", b"no json\n", b"{}\n", None])
def test_a_segment_without_readable_records_can_still_be_played(
    folder: Path, fake: FakeStatus, serve: Serve, content: bytes | None
) -> None:
    write_segment(folder, NOON, 60, ["cat"])
    write_segment(folder, NOON + timedelta(minutes=2), 60, ["cat"])
    records = folder / "2026-03-01/12/02-00.jsonl"
    if content is None:
        records.unlink()
    else:
        records.write_bytes(content)
    answer = serve(fake)(period(NOON, NOON + timedelta(minutes=5))).json
    assert [segment["seconds"] for segment in answer["segments"]] == [60, 60]
    assert (answer["pending"], answer["classes"][0]["total"]) == (0, 300)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-02T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00Z", "2026-05-01T12:00:00Z"),
        ("2026-03-01T12:00:00", "2026-03-01T13:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z"),
        ("9999-12-31T23:00:00Z", "9999-12-31T23:59:00Z"),
        ("yesterday", "today"),
    ],
)
def test_an_impossible_period_is_refused(
    fake: FakeStatus, serve: Serve, begin: str, end: str
) -> None:
    ask = serve(fake)
    for kind in ("timeline", "hours"):
        assert ask(f"/api/cameras/front/{kind}?from={begin}&to={end}").status == 422
        assert ask(f"/api/cameras/front/{kind}").status == 422
    assert ask(period(NOON, NOON + timedelta(hours=1)).replace("front", "nobody")).status == 404


def seconds_of(ask: Visitor, path: str) -> tuple[float, int]:
    """Ask until everything was read; return how long it took, and how many answers."""
    begin, answers, pending = time.monotonic(), 0, 1
    while pending:
        pending = ask(path).json["pending"]
        answers += 1
    return time.monotonic() - begin, answers


def test_a_day_of_1440_segments_is_read_once_and_in_parts(
    folder: Path, fake: FakeStatus, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "READ_SECONDS", 0.05)
    for minute in range(1440):
        write_segment(folder, NOON + timedelta(minutes=minute), 4, ["person", "car", "car"])
    ask = serve(fake)
    path = period(NOON, NOON + timedelta(days=1))
    first = ask(path).json
    assert 0 < first["pending"] < 1440
    assert len(first["segments"]) == 1440 - first["pending"]
    # The latest come first.
    assert first["segments"][-1]["name"] == "20260302T115900"
    assert seconds_of(ask, path)[1] > 1
    # From now on nothing is read: it takes one answer, and a tenth of this bound.
    seconds, answers = seconds_of(ask, path)
    assert answers == 1
    assert seconds < 2.0
    answer = ask(path).json
    assert (len(answer["segments"]), answer["frames"]) == (1440, [4 * RATE] * 1440)
    assert [each["total"] for each in answer["classes"]] == [2 * 4 * RATE * 1440, 4 * RATE * 1440]
