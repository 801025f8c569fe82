import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.config.schema import WatchSettings
from streamcam.errors import UsageError
from streamcam.fingerprint import identity_of
from streamcam.jobs.watched_files import (
    Selection,
    is_being_written,
    is_temporary,
    remove_unfinished_results,
    resolve_folders,
    scan,
)
from streamcam.sinks.maps import PngSink
from tests.sinks.items import PERSON, explained, frame

MEGABYTE = 1 << 20


def below(folder: Path, selection: Selection | None = None) -> set[str]:
    found = scan(folder, folder, selection or Selection(WatchSettings()), lambda *_: None)
    return {str(path.relative_to(folder)) for path, _ in found}


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.mark.parametrize(
    "name",
    ["a.mp4.part", "a.MP4.PART", "a.tmp", "a.mp4.crdownload", ".a.mp4", "a.mp4~", "~a.mp4"],
)
def test_names_of_unfinished_files(name: str) -> None:
    assert is_temporary(name)
    assert not is_temporary("a.mp4")


def test_inputs_are_media_that_are_not_results(tmp_path: Path) -> None:
    results = ("a.heatmap.mp4", "a.heatmap.jpg", "a.detections.jsonl", "a.manifest.json")
    make(tmp_path, "a.mp4", "b/c/d.JPG", "notes.txt", ".git/e.mp4", "f.mp4.part", *results)
    assert below(tmp_path) == {"a.mp4", "b/c/d.JPG"}
    assert below(tmp_path, Selection(WatchSettings(recursive=False))) == {"a.mp4"}


def test_patterns_choose_by_name_or_path(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "raw/a.mp4", "raw/b.dat", "c.dat", "c.dat.part")
    assert below(tmp_path, Selection(WatchSettings(include=["*.dat"]))) == {"raw/b.dat", "c.dat"}
    assert below(tmp_path, Selection(WatchSettings(include=["raw/*"]))) == {
        "raw/a.mp4",
        "raw/b.dat",
    }
    assert below(tmp_path, Selection(WatchSettings(exclude=["raw"]))) == {"a.mp4"}
    assert below(tmp_path, Selection(WatchSettings(exclude=["a.*"]))) == set()


def test_folders_of_ours_are_no_inputs(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "out/b.mp4", "out/deep/c.jpg")
    assert below(tmp_path, Selection(WatchSettings(), [tmp_path / "out"])) == {"a.mp4"}
    selection = Selection(WatchSettings(), [tmp_path / "out", tmp_path])
    assert not selection.reaches_file(tmp_path, tmp_path / "out" / "deep" / "c.jpg")
    assert selection.reaches_file(tmp_path, tmp_path / "a.mp4")


def test_odd_things_with_names_of_media_are_passed_by(tmp_path: Path) -> None:
    make(tmp_path, "real.mp4", "elsewhere/target.mp4")
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "dangling.mp4").symlink_to("nothing.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to("elsewhere/target.mp4")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert below(tmp_path) == {"real.mp4", "link.mp4", "elsewhere/target.mp4"}


def test_results_of_equal_trees_do_not_meet(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/in", "b/in", "other")]
    for path in paths:
        path.mkdir(parents=True)
    folders = resolve_folders(paths, recursive=True)
    assert [folder.subfolder for folder in folders] == ["a/in", "b/in", "other"]
    stems = [folder.stems(folder.path / "x" / "clip.mp4")[0] for folder in folders]
    assert stems == ["a/in/x/clip", "b/in/x/clip", "other/x/clip"]
    (alone,) = resolve_folders(paths[:1] * 2, recursive=True)
    assert alone.stems(alone.path / "clip.mp4")[:2] == ["clip", "clip.mp4"]


def test_folders_that_cannot_be_watched_together_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "in/a.mp4")
    with pytest.raises(UsageError, match="lies inside"):
        resolve_folders([tmp_path, tmp_path / "in"], recursive=True)
    assert len(resolve_folders([tmp_path, tmp_path / "in"], recursive=False)) == 2
    with pytest.raises(UsageError, match="not a folder"):
        resolve_folders([tmp_path / "in" / "a.mp4"], recursive=True)


def fingerprint(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return identity_of(path).fingerprint


@pytest.mark.parametrize("size", [0, 1, 65536, MEGABYTE, MEGABYTE + 1, 5 * MEGABYTE])
def test_fingerprint_depends_on_length_ends_and_middle(tmp_path: Path, size: int) -> None:
    content = bytes(size)
    same, *others = [
        fingerprint(tmp_path / "a", changed)
        for changed in (
            content,
            content + b"\0",
            *((b"x" + content[1:], content[:-1] + b"x") if size else ()),
        )
    ]
    assert fingerprint(tmp_path / "b", content) == same
    assert same not in others


def test_fingerprint_reads_no_more_than_a_megabyte_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert identity_of(path).stat.size == 1 << 40


def test_stat_of_identity_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    stat = identity_of(path).stat
    assert (stat.size, stat.mtime_ns, stat.inode) == (
        *(3, path.stat().st_mtime_ns, path.stat().st_ino),
    )


def test_writers_are_detected_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(b"half")
        if is_being_written(path) is None:
            pytest.skip(f"no leases on the file system of {tmp_path}")
        assert is_being_written(path)
    with path.open("rb"):
        assert is_being_written(path) is False
    with path.open("ab"):
        assert is_being_written(path)
    os.link(path, tmp_path / "b")
    with path.open("ab"):
        assert is_being_written(tmp_path / "b")


def test_the_check_harms_no_writer(tmp_path: Path) -> None:
    """The lease is announced by a signal; it must not be one that ends the process."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from streamcam.jobs.watched_files import is_being_written\n"
        "end = time.monotonic() + 1.0\n"
        "while time.monotonic() < end: is_being_written(Path(sys.argv[1]))\n"
    )
    checker = subprocess.Popen([sys.executable, "-c", code, str(path)])
    writes = 0
    while checker.poll() is None:
        with path.open("ab"):
            writes += 1
    assert checker.returncode == 0
    assert writes > 100


def test_unfinished_results_are_removed_unless_they_are_written_or_foreign(tmp_path: Path) -> None:
    stray = tmp_path / "deep" / "a.heatmap.mp4.part"
    foreign = tmp_path / "movie.mp4.part"
    busy = tmp_path / "b.detections.jsonl.part"
    stray.parent.mkdir()
    for path in (stray, foreign):
        path.touch()
    with busy.open("w"):
        assert remove_unfinished_results(tmp_path) == [stray]
    assert {path.name for path in tmp_path.rglob("*.part")} == {foreign.name, busy.name}


def test_unfinished_folders_of_maps_are_removed_unless_they_are_written(tmp_path: Path) -> None:
    killed = tmp_path / "a.maps.part"
    killed.mkdir()
    (killed / "000001.png").touch()
    foreign = tmp_path / "b.part"
    foreign.mkdir()
    busy = PngSink(tmp_path / "c.maps")
    busy.write(explained(frame(1), [PERSON], 0.1))
    assert remove_unfinished_results(tmp_path) == [killed]
    busy.write(explained(frame(2), [PERSON], 0.1))
    busy.finish()
    assert {path.name for path in tmp_path.iterdir()} == {"b.part", "c.maps"}
    assert len(list((tmp_path / "c.maps").iterdir())) == 2
