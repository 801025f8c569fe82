"""What holds for every sink."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamcam.clock import Clock
from streamcam.errors import DiskFullError, SinkError
from streamcam.sinks.base import Sink
from streamcam.sinks.maps import NpzSink
from streamcam.sinks.parquet.table_sinks import DetectionTableSink, FrameTableSink
from streamcam.sinks.pictures import StillSink
from streamcam.sinks.recording.recorder import RecordingSettings, SegmentRecorder
from streamcam.sinks.recording.segments import recover
from streamcam.sinks.records import JsonlSink
from streamcam.sinks.video import VideoSink
from streamcam.types import Picture
from tests.sinks.disk import file_size_limit
from tests.sinks.items import SIZE, explained, frame, info, picture

MakeSink = Callable[[Path], Sink[Any] | SegmentRecorder]


@dataclass(frozen=True)
class Kind:
    """How to create a sink for a path: of its file, or of the folder of its files.

    Attributes:
        make: Makes it.
        files: What it has written below the path after `finish`.
        lasting: Whether complete parts are published by `abort` too: cameras only.
    """

    make: MakeSink
    files: tuple[str, ...] = ("",)
    lasting: bool = False

    def results(self, path: Path) -> list[Path]:
        return [path / file if file else path for file in self.files]


SINKS: dict[str, Kind] = {
    "clip.heatmap.mp4": Kind(lambda path: VideoSink(path, info())),
    "clip.heatmap.jpg": Kind(StillSink),
    "clip.detections.jsonl": Kind(JsonlSink),
    "clip.frames.parquet": Kind(FrameTableSink),
    "clip.detections.parquet": Kind(DetectionTableSink),
    "clip.maps.npz": Kind(NpzSink),
    "door": Kind(
        lambda path: SegmentRecorder(path, RecordingSettings(), FixedClock()),
        ("2025-03-01/12/34-56.jsonl", "2025-03-01/12/34-56.mp4"),
        lasting=True,
    ),
}


class FixedClock(Clock):
    def utc(self) -> datetime:
        return datetime(2025, 3, 1, 12, 34, 56, tzinfo=UTC)


@pytest.fixture(params=SINKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str) -> Kind:
    return SINKS[name]


@pytest.fixture
def make(kind: Kind) -> MakeSink:
    return kind.make


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    return tmp_path / "out" / "deep" / name


def write(sink: Sink[Any] | SegmentRecorder, index: int, shown: Picture | None = None) -> None:
    shown = picture(index) if shown is None else shown
    item = explained(frame(index))
    sink.write(item, shown if sink.needs_picture else None)


def files(folder: Path) -> list[Path]:
    return sorted(found for found in folder.rglob("*") if found.is_file())


def visible(folder: Path) -> list[Path]:
    return [file for file in files(folder) if file.suffix != ".part"]


def test_nothing_is_visible_before_finish_and_only_the_result_after(kind: Kind, path: Path) -> None:
    sink = kind.make(path)
    for index in range(3):
        write(sink, index)
        assert visible(path.parents[1]) == []
    assert sink.finish() == path
    assert files(path.parents[1]) == kind.results(path)
    assert all(file.stat().st_size > 0 for file in kind.results(path))


@pytest.mark.parametrize("written", [0, 1, 5])
def test_abort_leaves_nothing_unfinished_at_any_moment(
    kind: Kind, path: Path, tmp_path: Path, written: int
) -> None:
    sink = kind.make(path)
    for index in range(written):
        write(sink, index)
    sink.abort()
    sink.abort()
    assert files(tmp_path) == (kind.results(path) if kind.lasting and written else [])


def test_abort_after_finish_keeps_the_result(kind: Kind, path: Path) -> None:
    sink = kind.make(path)
    write(sink, 0)
    sink.finish()
    contents = [file.read_bytes() for file in kind.results(path)]
    sink.abort()
    assert [file.read_bytes() for file in kind.results(path)] == contents


def test_finish_without_a_frame_fails_clearly_and_leaves_nothing(
    make: MakeSink, path: Path, tmp_path: Path
) -> None:
    sink = make(path)
    with pytest.raises(SinkError, match=path.name):
        sink.finish()
    sink.abort()
    assert files(tmp_path) == []


def test_an_earlier_result_is_replaced_only_by_finish_and_a_lasting_one_never(
    kind: Kind, path: Path
) -> None:
    for file in kind.results(path):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"before")
    for end, kept in (("abort", True), ("finish", kind.lasting)):
        sink = kind.make(path)
        write(sink, 0)
        getattr(sink, end)()
        assert all((file.read_bytes() == b"before") == kept for file in kind.results(path))


def test_remains_of_a_killed_run_do_not_hinder(kind: Kind, path: Path) -> None:
    for file in kind.results(path):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_name(file.name + ".part").write_bytes(b"half a file" * 10_000)
    if kind.lasting:
        recover(path)
    sink = kind.make(path)
    write(sink, 0)
    sink.finish()
    assert files(path.parent) == kind.results(path)
    assert not any(b"half a file" in file.read_bytes() for file in kind.results(path))


@pytest.mark.parametrize("stem", ["Straße 1", "自転車-мост", "a:b?%d#[x]", "-dash", "x" * 200])
def test_names_of_all_kinds(kind: Kind, path: Path, stem: str) -> None:
    target = path.with_name(stem + path.suffix)
    sink = kind.make(target)
    write(sink, 0)
    assert sink.finish() == target
    assert files(path.parent) == kind.results(target)


def test_a_relative_path_is_taken_from_the_folder_at_the_start(
    make: MakeSink, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sink = make(Path("out") / name)
    write(sink, 0)
    assert sink.finish() == tmp_path / "out" / name


def test_a_folder_that_cannot_be_made_is_named(make: MakeSink, name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    sink = make(tmp_path / "taken" / name)
    with pytest.raises(SinkError, match="taken"):
        write_and_finish(sink)
    sink.abort()
    assert files(tmp_path) == [tmp_path / "taken"]


@pytest.mark.parametrize("name", [name for name, kind in SINKS.items() if not kind.lasting])
def test_a_device_that_is_full_from_the_start(make: MakeSink, path: Path) -> None:
    path.parent.mkdir(parents=True)
    part = path.with_name(path.name + ".part")
    part.symlink_to("/dev/full")
    sink = make(path)
    with pytest.raises(DiskFullError, match=path.name):
        write_and_finish(sink)
    sink.abort()
    assert not part.is_symlink()
    assert not path.exists()


def test_a_disk_that_is_full_from_the_start(make: MakeSink, path: Path, tmp_path: Path) -> None:
    with file_size_limit(0):
        sink = make(path)
        with pytest.raises(DiskFullError, match=path.name):
            write_and_finish(sink)
        sink.abort()
    assert files(tmp_path) == []
    assert not opened(path)


# A thousand equal rows of a table fit into the limit.
@pytest.mark.parametrize("name", [name for name in SINKS if not name.endswith(".parquet")])
def test_a_disk_that_fills_up_midway(kind: Kind, path: Path, tmp_path: Path) -> None:
    with file_size_limit(20_000):
        sink = kind.make(path)
        noise = np.random.default_rng(0)
        with pytest.raises(DiskFullError, match=path.name):  # noqa: PT012
            for index in range(1000):
                shown = noise.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
                write(
                    sink, index, np.tile(shown, (4, 4, 1)) if isinstance(sink, StillSink) else shown
                )
            sink.finish()
        sink.abort()
    assert files(tmp_path) == (kind.results(path) if kind.lasting else [])


def opened(path: Path) -> list[str]:
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [name for name in map(str, map(Path.readlink, links)) if name.startswith(str(path))]


def test_open_files_are_let_go(make: MakeSink, path: Path) -> None:
    for end in ("finish", "abort"):
        sink = make(path)
        write(sink, 0)
        getattr(sink, end)()
        assert not opened(path)


def write_and_finish(sink: Sink[Any] | SegmentRecorder) -> None:
    for index in range(3):
        write(sink, index)
    sink.finish()
