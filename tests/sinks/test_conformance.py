"""What holds for every sink."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamcam.errors import DiskFullError, SinkError
from streamcam.records import Picture
from streamcam.sinks import JsonlSink, Sink, StillSink, VideoSink
from streamcam.sinks.maps import NpzSink
from tests.sinks.items import SIZE, explained, frame, info, picture

MakeSink = Callable[[Path], Sink]

SINKS: dict[str, MakeSink] = {
    "clip.heatmap.mp4": lambda path: VideoSink(path, info()),
    "clip.heatmap.jpg": StillSink,
    "clip.detections.jsonl": JsonlSink,
    "clip.maps.npz": NpzSink,
}


@pytest.fixture(params=SINKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(name: str) -> MakeSink:
    return SINKS[name]


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    return tmp_path / "out" / "deep" / name


def write(sink: Sink, index: int, shown: Picture | None = None) -> None:
    shown = picture(index) if shown is None else shown
    item = explained(frame(index))
    sink.write(item, shown if sink.needs_picture else None)


def files(folder: Path) -> list[Path]:
    return [found for found in folder.rglob("*") if found.is_file()]


def test_nothing_is_visible_before_finish_and_only_the_result_after(
    make: MakeSink, path: Path
) -> None:
    sink = make(path)
    for index in range(3):
        write(sink, index)
        assert not path.exists()
    assert sink.finish() == path
    assert files(path.parents[1]) == [path]
    assert path.stat().st_size > 0


@pytest.mark.parametrize("written", [0, 1, 5])
def test_abort_leaves_no_file_at_any_moment(
    make: MakeSink, path: Path, tmp_path: Path, written: int
) -> None:
    sink = make(path)
    for index in range(written):
        write(sink, index)
    sink.abort()
    sink.abort()
    assert files(tmp_path) == []


def test_abort_after_finish_keeps_the_result(make: MakeSink, path: Path) -> None:
    sink = make(path)
    write(sink, 0)
    sink.finish()
    content = path.read_bytes()
    sink.abort()
    assert path.read_bytes() == content


def test_finish_without_a_frame_fails_clearly_and_leaves_nothing(
    make: MakeSink, path: Path, tmp_path: Path
) -> None:
    sink = make(path)
    with pytest.raises(SinkError, match=path.name):
        sink.finish()
    sink.abort()
    assert files(tmp_path) == []


def test_an_earlier_result_is_replaced_only_by_finish(make: MakeSink, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"before")
    sink = make(path)
    write(sink, 0)
    sink.abort()
    assert path.read_bytes() == b"before"
    sink = make(path)
    write(sink, 0)
    sink.finish()
    assert path.read_bytes() != b"before"


def test_remains_of_a_killed_run_do_not_hinder(make: MakeSink, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".part").write_bytes(b"half a file" * 10_000)
    sink = make(path)
    write(sink, 0)
    sink.finish()
    assert files(path.parent) == [path]
    assert b"half a file" not in path.read_bytes()


@pytest.mark.parametrize("stem", ["Straße 1", "自転車-мост", "a:b?%d#[x]", "-dash", "x" * 200])
def test_names_of_all_kinds(make: MakeSink, path: Path, stem: str) -> None:
    target = path.with_name(stem + path.suffix)
    sink = make(target)
    write(sink, 0)
    assert sink.finish() == target
    assert files(path.parent) == [target]


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


def test_a_disk_that_is_full_from_the_start(make: MakeSink, path: Path) -> None:
    path.parent.mkdir(parents=True)
    part = path.with_name(path.name + ".part")
    part.symlink_to("/dev/full")
    sink = make(path)
    with pytest.raises(DiskFullError, match=path.name):
        write_and_finish(sink)
    sink.abort()
    assert not part.is_symlink()
    assert not path.exists()


@pytest.fixture
def little_room() -> Iterator[None]:
    """Let no file grow beyond 20 kB, as if the disk were full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("little_room")
def test_a_disk_that_fills_up_midway(make: MakeSink, path: Path, tmp_path: Path) -> None:
    sink = make(path)
    noise = np.random.default_rng(0)
    with pytest.raises(DiskFullError, match=path.name):  # noqa: PT012
        for index in range(1000):
            shown = noise.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
            write(sink, index, np.tile(shown, (4, 4, 1)) if isinstance(sink, StillSink) else shown)
        sink.finish()
    sink.abort()
    assert files(tmp_path) == []


def test_open_files_are_let_go(make: MakeSink, path: Path) -> None:
    def opened() -> set[str]:
        links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return {str(link.readlink()) for link in links}

    for end in ("finish", "abort"):
        sink = make(path)
        write(sink, 0)
        getattr(sink, end)()
        assert not any(path.name in name for name in opened())


def write_and_finish(sink: Sink) -> None:
    for index in range(3):
        write(sink, index)
    sink.finish()
