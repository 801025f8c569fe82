import os
from pathlib import Path

import pytest

from streamcam.errors import NotMediaError, SourceError, SourceUnavailableError, UsageError
from streamcam.sinks.registry import is_result
from streamcam.sources.inputs import Inputs, expand, open_source, redacted
from streamcam.sources.media_names import is_media
from tests.media import numbered, write_video


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def stems(*specs: str) -> list[tuple[str, str]]:
    return [(entry.spec, entry.stem) for entry in expand(specs, is_result)]


def test_a_folder_gives_its_media_in_natural_order(here: Path) -> None:
    touch(here, "in/clip10.mp4", "in/clip2.mp4", "in/Clip1.MOV", "in/sub/pic.JPG", "in/notes.txt")
    assert stems("in") == [
        ("in/Clip1.MOV", "Clip1"),
        ("in/clip2.mp4", "clip2"),
        ("in/clip10.mp4", "clip10"),
        ("in/sub/pic.JPG", "sub/pic"),
    ]


def test_hidden_unfinished_and_own_files_are_left_out(here: Path) -> None:
    touch(
        here,
        "in/.hidden.mp4",
        "in/.cache/a.mp4",
        "in/a.mp4.part",
        "in/a.heatmap.mp4",
        "in/a.heatmap.jpg",
        "in/a.detections.jsonl",
        "in/a.manifest.json",
        "in/a.mp4",
    )
    assert stems("in") == [("in/a.mp4", "a")]
    assert is_media(here / "in/a.mp4")


def test_a_named_file_is_always_tried(here: Path) -> None:
    touch(here, "in/notes.txt")
    assert stems("in/notes.txt", "gone.mp4") == [("in/notes.txt", "in/notes"), ("gone.mp4", "gone")]


def test_loops_of_links_end(here: Path) -> None:
    touch(here, "in/sub/a.mp4")
    (here / "in/sub/again").symlink_to(here / "in")
    (here / "in/other").symlink_to(here / "in/sub")
    assert [stem for _, stem in stems("in")] == ["other/a"]


def test_relative_paths_keep_their_folders_and_absolute_ones_their_name(here: Path) -> None:
    touch(here, "dir/a.mp4", "b.mp4")
    assert stems("dir/a.mp4", "./b.mp4") == [("dir/a.mp4", "dir/a"), ("b.mp4", "b")]
    assert stems(str(here / "dir/a.mp4"))[0][1] == "a"
    assert stems("dir/../b.mp4")[0][1] == "b"


def test_same_names_get_different_results(here: Path) -> None:
    touch(here, "a.mp4", "a.jpg", "x/a.mp4", "y/a.mp4")
    assert [stem for _, stem in stems("a.mp4", "a.jpg")] == ["a.mp4", "a.jpg"]
    far = [str(here / "x/a.mp4"), str(here / "y/a.mp4")]
    assert [stem for _, stem in stems(*far)] == ["x/a.mp4", "y/a.mp4"]
    assert [stem for _, stem in stems("x", "y")] == ["x/a.mp4", "y/a.mp4"]
    every = [entry.stem for entry in expand([".", "x", *far])]
    assert len(set(every)) == len(every) == 4


def test_what_is_named_twice_is_listed_once(here: Path) -> None:
    touch(here, "a.mp4")
    assert stems("a.mp4", "./a.mp4", str(here / "a.mp4"), "a.mp4") == [("a.mp4", "a")]


def test_an_empty_name_is_not_the_current_folder(here: Path) -> None:
    touch(here, "a.mp4")
    with pytest.raises(UsageError, match="the name of a source is empty"):
        expand([""])


def test_scenes_are_named_after_what_tells_them_apart() -> None:
    assert [stem for _, stem in stems("demo://street?seed=1")] == ["street"]
    scenes = ["demo://street?seed=1", "demo://street?seed=2"]
    assert [stem for _, stem in stems(*scenes)] == ["street-seed=1", "street-seed=2"]


def test_stems_never_leave_the_output_folder(here: Path) -> None:
    touch(here, "a/b/c.mp4")
    for spec in ("../gone.mp4", ".", "a/..", "a/b/../b/c.mp4", "demo://../../x", "rtsp://../.."):
        for entry in expand([spec, f"{here}/{spec}"]):
            assert not Path(entry.stem).is_absolute()
            assert ".." not in Path(entry.stem).parts
            assert Path(entry.stem).name


@pytest.mark.usefixtures("here")
def test_a_missing_file_fails_only_when_opened() -> None:
    (entry,) = expand(["gone.mp4"])
    with pytest.raises(SourceUnavailableError, match=r"gone\.mp4: no such file"):
        open_source(entry.spec)


def test_a_folder_without_media_fails_when_opened(here: Path) -> None:
    touch(here, "in/notes.txt")
    (entry,) = expand(["in"])
    with pytest.raises(SourceError, match="no video or picture in this folder") as caught:
        open_source(entry.spec)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_read_fails_when_opened(here: Path) -> None:
    touch(here, "in/closed/a.mp4", "in/b.mp4")
    (here / "in/closed").chmod(0)
    first, second = expand(["in"])
    assert (first.spec, second.spec) == ("in/b.mp4", "in/closed")
    with pytest.raises(SourceUnavailableError, match="may not be read"):
        open_source(second.spec)
    (here / "in/closed").chmod(0o700)


def test_a_folder_is_no_file(here: Path) -> None:
    touch(here, "in/a.mp4")
    with pytest.raises(SourceError, match="is a folder"):
        open_source("in")


def test_streams_are_refused_without_their_password() -> None:
    (entry,) = expand(["rtsp://user:secret@camera:554/live?token=secret"])
    assert entry.id == "rtsp://camera:554/live"
    with pytest.raises(SourceError) as caught:
        open_source(entry.spec)
    assert "secret" not in f"{caught.value} {caught.value.hint} {entry.id} {entry.stem}"


def test_file_urls_are_paths(here: Path) -> None:
    path = write_video(here / "a b.mp4", numbered(2))
    assert redacted(f"file://{path}") == f"file://{path}"
    (entry,) = expand([f"file://{here}/a%20b.mp4"])
    source = open_source(entry.spec)
    assert source.info.path == path
    source.close()


def test_what_a_file_holds_matters_not_its_ending(here: Path) -> None:
    write_video(here / "video.mp4", numbered(3)).rename(here / "video.jpg")
    source = open_source("video.jpg")
    assert not source.info.still
    source.close()
    write_video(here / "joined.mjpeg", numbered(3), codec="mjpeg", pix_fmt="yuvj420p", options={})
    source = open_source("joined.mjpeg")
    assert not source.info.still
    source.close()
    touch(here, "empty.mp4")
    with pytest.raises(NotMediaError, match="is empty"):
        open_source("empty.mp4")


def test_inputs_are_listed_anew_and_what_was_added_since_is_left_out(tmp_path: Path) -> None:
    for name in ("clip2.mp4", "clip10.mp4", "clip2.mkv"):
        (tmp_path / name).touch()
    inputs = Inputs([str(tmp_path), str(tmp_path / "clip2.mp4")])
    (tmp_path / "clip3.mp4").touch()
    for _ in range(2):
        assert [entry.stem for entry in inputs] == ["clip2.mkv", "clip2.mp4", "clip10"]
    assert len(inputs) == 3
