import logging
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamcam.cameras.manager import make_retention
from streamcam.clock import Clock
from streamcam.config.camera_schema import RetentionSettings
from streamcam.sinks.recording.naming import event_file
from streamcam.sinks.recording.retention import Deleted, Retention, RetentionThread, Swept
from tests.processes import eventually

NOW = datetime(2025, 3, 10, 12, 30, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0


class Fixed(Clock):
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def utc(self) -> datetime:
        return self.now


def retention(
    folder: Path,
    *,
    max_age: float | None = None,
    max_age_records: float | None = None,
    max_bytes: int | None = None,
    min_free: int = 0,
    now: datetime = NOW,
) -> Retention:
    return Retention(
        folder,
        max_age=max_age,
        max_age_records=max_age_records,
        max_bytes=max_bytes,
        min_free=min_free,
        clock=Fixed(now),
    )


def make(folder: Path, names: Iterable[str], size: int = 1000) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def pair(stem: str) -> list[str]:
    return [f"{stem}.mp4", f"{stem}.jsonl"]


def left(folder: Path) -> set[str]:
    """All files; folders may vanish meanwhile."""
    found = ((Path(root), names) for root, _, names in os.walk(folder))
    return {str((root / name).relative_to(folder)) for root, names in found for name in names}


def folders(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


def test_videos_and_records_go_by_their_own_age(tmp_path: Path) -> None:
    old, older = "door/2025-03-08/11/00-00", "yard/2025-03-01/00/00-00-2"
    new = "door/2025-03-10/12/29-59"
    make(tmp_path, [*pair(old), *pair(older), *pair(new)])
    swept = retention(tmp_path, max_age=2 * DAY, max_age_records=7 * DAY).sweep()
    assert left(tmp_path) == {f"{old}.jsonl", *pair(new)}
    assert swept == Swept(Deleted(2, 2000), Deleted(1, 1000))


def test_what_is_kept_of_events_goes_with_the_recordings(tmp_path: Path) -> None:
    old, new = (
        event_file(tmp_path / "door", f"{(NOW.timestamp() - age):.6f}-k3x9qa", "")
        for age in (3 * DAY, HOUR)
    )
    of_old, of_new = (
        [f"{stem.relative_to(tmp_path)}{end}" for end in (".mp4", ".jsonl", ".jpg", ".heat.jpg")]
        for stem in (old, new)
    )
    lines = str(old.with_name("events.jsonl").relative_to(tmp_path))
    others = ["door/2025-03-07/12/notes.jpg", "door/2025-03-07/12/1-k3x9qa.jpg"]
    make(tmp_path, [*of_old, *of_new, lines, *others])
    retention(tmp_path, max_age=2 * DAY, max_age_records=7 * DAY).sweep()
    assert left(tmp_path) == {of_old[1], lines, *of_new, *others}
    retention(tmp_path, max_age=2 * DAY, max_age_records=2 * DAY).sweep()
    assert left(tmp_path) == {*of_new, *others}


def test_the_age_is_the_names_to_the_second(tmp_path: Path) -> None:
    make(tmp_path, ["door/2025-03-10/11/29-59.mp4", "door/2025-03-10/11/30-00.mp4"])
    retention(tmp_path, max_age=HOUR).sweep()
    assert left(tmp_path) == {"door/2025-03-10/11/30-00.mp4"}


def test_without_bounds_all_stays(tmp_path: Path) -> None:
    make(tmp_path, pair("door/1999-12-31/23/59-59"))
    assert retention(tmp_path).sweep() == Swept()
    assert left(tmp_path) == {*pair("door/1999-12-31/23/59-59")}


def test_only_what_may_be_old_is_read_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = ["2025-03-08/11", "2025-03-09/12", "2025-03-09/13", "2025-03-10/12"]
    make(tmp_path, [f"door/{hour}/29-59.mp4" for hour in hours])
    read: list[str] = []
    scan = os.scandir

    def noted(folder: str) -> object:
        read.append(str(Path(folder).relative_to(tmp_path)))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", noted)

    def looked_into(bounded: Retention) -> list[str]:
        monkeypatch.setattr(bounded, "_remove_empty_folders", lambda _: None)
        read.clear()
        bounded.sweep()
        return sorted(hour for hour in hours if f"door/{hour}" in read)

    assert looked_into(retention(tmp_path)) == []
    assert looked_into(retention(tmp_path, min_free=1)) == []
    assert looked_into(retention(tmp_path, max_age_records=DAY)) == hours[:2]
    assert looked_into(retention(tmp_path, max_age=HOUR, max_age_records=DAY)) == hours[:3]
    assert looked_into(retention(tmp_path, max_bytes=10**6)) == hours


def test_what_seems_to_come_from_the_future_is_new(tmp_path: Path) -> None:
    future, past = pair("door/2031-01-01/00/00-00"), pair("door/2025-03-10/12/00-00")
    make(tmp_path, [*future, *past])
    retention(tmp_path, max_age=DAY, max_age_records=DAY, max_bytes=3000).sweep()
    assert left(tmp_path) == {*future, past[1]}


def test_nothing_but_our_segments_is_touched(tmp_path: Path) -> None:
    others = [
        "door/2025-03-01/11/00-00.mp4.part",
        "door/2025-03-01/11/00-00.jsonl.part",
        "door/2025-03-01/11/00-00.mkv",
        "door/2025-03-01/11/00-00-1.mp4",
        "door/2025-03-01/11/00-00-02.mp4",
        "door/2025-03-01/11/0-00.mp4",
        "door/2025-03-01/11/00-60.mp4",
        "door/2025-03-01/11/00-00.MP4",
        "door/2025-03-01/11/00-00.mp4 (1)",
        "door/2025-03-01/11/\N{ARABIC-INDIC DIGIT ZERO}0-00.mp4",
        "door/2025-03-01/11/deep/00-00.mp4",
        "door/2025-03-01/24/00-00.mp4",
        "door/2025-03-01/1/00-00.mp4",
        "door/2025-02-30/11/00-00.mp4",
        "door/2025-3-1/11/00-00.mp4",
        "door/2025-03-01/00-00.mp4",
        "door/00-00.mp4",
        "2025-03-01/11/00-00.mp4",
        "00-00.mp4",
        "deep/door/2025-03-01/11/00-00.mp4",
        "clip.heatmap.mp4",
    ]
    make(tmp_path, others)
    make(tmp_path, pair("door/2025-03-01/11/00-00"))
    swept = retention(
        tmp_path, max_age=HOUR, max_age_records=HOUR, max_bytes=0, min_free=1 << 60
    ).sweep()
    assert left(tmp_path) == {*others}
    assert swept == Swept(Deleted(1, 1000), Deleted(1, 1000))


def test_links_are_neither_followed_nor_deleted(tmp_path: Path) -> None:
    kept = pair("door/2025-03-01/11/00-00")
    make(tmp_path / "elsewhere", kept)
    out = tmp_path / "out"
    (out / "yard/2025-03-01").mkdir(parents=True)
    (out / "door").symlink_to(tmp_path / "elsewhere/door")
    (out / "yard/2025-03-02").symlink_to(tmp_path / "elsewhere/door/2025-03-01")
    (out / "yard/2025-03-01/11").symlink_to(tmp_path / "elsewhere/door/2025-03-01/11")
    (out / "yard/2025-03-01/12").mkdir()
    (out / "yard/2025-03-01/12/00-00.mp4").symlink_to(tmp_path / "elsewhere" / kept[0])
    before = left(tmp_path)
    assert retention(out, max_age=1, max_age_records=1, max_bytes=0).sweep() == Swept()
    assert left(tmp_path) == before


def test_the_oldest_videos_of_all_cameras_go_first_and_records_last(tmp_path: Path) -> None:
    stems = [
        "yard/2025-03-01/10/00-00",
        "door/2025-03-01/10/00-30",
        "yard/2025-03-01/10/01-00-2",
        "door/2025-03-02/09/00-00",
    ]
    make(tmp_path, [name for stem in stems for name in pair(stem)])
    gone: list[str] = []
    order = [f"{stem}.mp4" for stem in stems] + [f"{stem}.jsonl" for stem in stems]
    for bound in range(7000, -1000, -1000):
        before = left(tmp_path)
        retention(tmp_path, max_bytes=bound + 999).sweep()
        gone += before - left(tmp_path)
    assert gone == order


def test_no_more_goes_than_must(tmp_path: Path) -> None:
    make(tmp_path, [f"door/2025-03-01/10/{minute:02}-00.mp4" for minute in range(10)])
    assert retention(tmp_path, max_bytes=5500).sweep() == Swept(Deleted(5, 5000))
    assert retention(tmp_path, max_bytes=5500).sweep() == Swept()


def test_room_is_made_free_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 100_000
    make(tmp_path, [f"door/2025-03-01/10/{minute:02}-00.mp4" for minute in range(10)], size)
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        """A disk with little space that reports freed space late."""
        fields = list(real(path))
        fields[1], fields[4] = 4096, 10
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert retention(tmp_path, min_free=40_000).sweep() == Swept()
    assert retention(tmp_path, min_free=40_960 + 250_000).sweep() == Swept(Deleted(3, 3 * size))
    assert min(left(tmp_path)) == "door/2025-03-01/10/03-00.mp4"


def test_empty_folders_go_when_nothing_can_begin_there_any_more(tmp_path: Path) -> None:
    make(tmp_path, pair("door/2025-03-01/10/00-00") + pair("door/2025-03-02/10/00-00"))
    make(tmp_path, ["door/2025-03-02/11/notes.txt"])
    for empty in ("door/2025-03-10/12", "door/2025-03-10/11", "door/2025-03-10/09", "yard/notes"):
        (tmp_path / empty).mkdir(parents=True)
    retention(tmp_path, max_age=DAY, max_age_records=DAY).sweep()
    assert folders(tmp_path) == {
        "door",
        "door/2025-03-02",
        "door/2025-03-02/11",
        "door/2025-03-10",
        "door/2025-03-10/12",
        "door/2025-03-10/11",
        "yard",
        "yard/notes",
    }


def test_what_cannot_be_deleted_is_told_once_and_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["door/2025-03-01/10/00-00.mp4", "door/2025-03-01/10/01-00.mp4"]
    make(tmp_path, names)
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == tmp_path / names[0]:
            raise PermissionError(1, "Operation not permitted")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    keeper = retention(tmp_path, max_age=HOUR, max_bytes=0)
    with caplog.at_level(logging.WARNING):
        assert keeper.sweep() == Swept(Deleted(1, 1000))
        assert keeper.sweep() == Swept()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / names[0]}: not swept: Operation not permitted"
    ]


def test_an_output_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert retention(tmp_path / "out", max_age=1, min_free=1 << 60).sweep() == Swept()


def test_a_clock_put_back_deletes_nothing_that_is_new(tmp_path: Path) -> None:
    make(tmp_path, pair("door/2025-03-10/12/00-00"))
    back = NOW - timedelta(days=400)
    assert retention(tmp_path, max_age=HOUR, max_age_records=HOUR, now=back).sweep() == Swept()


OLD_SEGMENT, NEW_SEGMENT = "door/2025-03-01/10/00-00", "door/2025-03-10/12/00-00"


def bounds(**settings: object) -> RetentionSettings:
    return RetentionSettings.model_validate({"min_free": 0, **settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, pair(OLD_SEGMENT) + pair(NEW_SEGMENT))
    return tmp_path


@pytest.fixture
def thread(folder: Path) -> Iterator[RetentionThread]:
    made = RetentionThread(make_retention(folder, bounds(max_age="7d"), Fixed()), period=0.02)
    yield made
    made.stop()
    assert made.join(5)


def test_the_thread_sweeps_at_once_and_counts_days(folder: Path, thread: RetentionThread) -> None:
    thread.start()
    assert eventually(lambda: left(folder) == {f"{OLD_SEGMENT}.jsonl", *pair(NEW_SEGMENT)})


def test_other_bounds_hold_from_the_next_sweep_on(folder: Path, thread: RetentionThread) -> None:
    thread.start()
    assert eventually(lambda: f"{OLD_SEGMENT}.mp4" not in left(folder))
    thread.retention = make_retention(folder, bounds(max_age_records="7d", max_bytes=1), Fixed())
    assert eventually(lambda: left(folder) == set())


def test_what_comes_in_later_is_swept_too(folder: Path, thread: RetentionThread) -> None:
    thread.start()
    assert eventually(lambda: f"{OLD_SEGMENT}.mp4" not in left(folder))
    make(folder, [f"{OLD_SEGMENT}.mp4"])
    assert eventually(lambda: f"{OLD_SEGMENT}.mp4" not in left(folder))
