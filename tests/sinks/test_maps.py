import ctypes
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.errors import SinkError
from streamcam.sinks.maps import NpzSink, PngSink
from streamcam.types import BoxMap, Focus, FrameResult
from tests.sinks.items import PERSON, explained, frame

OWN = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)


def result(index: int, age: float = 0.0) -> FrameResult:
    why = BoxMap("layercam", OWN, Focus(0.5, 2.0, True), age)
    return explained(frame(index), [PERSON, replace(PERSON, why=why)])


def test_an_archive_holds_every_map_as_it_is(tmp_path: Path) -> None:
    sink = NpzSink(tmp_path / "out" / "clip.maps.npz")
    for item in (result(3), frame(4, sampled=False), result(5, age=0.4)):
        sink.write(item)
    with np.load(sink.finish()) as maps:
        assert list(maps) == ["000003.frame", "000003.box-1", "000005.frame"]
        assert maps["000003.box-1"].dtype == np.float32
        assert np.array_equal(maps["000003.box-1"], OWN)


def test_pngs_have_sixteen_bits(tmp_path: Path) -> None:
    sink = PngSink(tmp_path / "out" / "clip.maps")
    sink.write(result(3))
    assert not (tmp_path / "out" / "clip.maps").exists()
    folder = sink.finish()
    assert sorted(path.name for path in folder.iterdir()) == [
        "000003.box-1.map.png",
        "000003.frame.map.png",
    ]
    read = cv2.imread(str(folder / "000003.box-1.map.png"), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    assert read / 65535 == pytest.approx(OWN, abs=1e-5)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.maps"]


def test_a_folder_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    for index in (1, 2):
        sink = PngSink(tmp_path / "clip.maps")
        sink.write(result(index))
        folder = sink.finish()
    assert {path.name[:6] for path in folder.iterdir()} == {"000002"}


def test_an_abort_leaves_nothing_and_keeps_the_earlier_folder(tmp_path: Path) -> None:
    first, second = PngSink(tmp_path / "clip.maps"), PngSink(tmp_path / "clip.maps")
    first.write(result(1))
    first.finish()
    second.write(result(2))
    second.abort()
    second.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.maps"]
    assert {path.name[:6] for path in (tmp_path / "clip.maps").iterdir()} == {"000001"}


def test_remains_of_a_killed_run_are_not_published(tmp_path: Path) -> None:
    part = tmp_path / "clip.maps.part"
    part.mkdir()
    (part / "000009.frame.map.png").write_bytes(b"half")
    sink = PngSink(tmp_path / "clip.maps")
    sink.write(result(1))
    assert {path.name[:6] for path in sink.finish().iterdir()} == {"000001"}


def test_without_frames_there_is_no_folder(tmp_path: Path) -> None:
    sink = PngSink(tmp_path / "clip.maps")
    with pytest.raises(SinkError, match=r"clip\.maps"):
        sink.finish()
    sink.abort()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SinkError, match="taken"):
        PngSink(tmp_path / "taken" / "clip.maps").write(result(1))


def test_a_folder_is_replaced_without_a_moment_of_absence(tmp_path: Path) -> None:
    """The name leads to the old maps or to the new ones at every moment."""
    folder, stop = tmp_path / "clip.maps", threading.Event()
    found: list[bool] = []

    def read() -> None:
        while not stop.is_set():
            found.append((folder / "000000.frame.map.png").exists())

    reader = threading.Thread(target=read)
    for run in range(100):
        sink = PngSink(folder)
        sink.write(result(0))
        sink.finish()
        if run == 0:
            reader.start()
    stop.set()
    reader.join()
    assert found
    assert all(found)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_replaced_where_names_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    for run in range(2):
        sink = PngSink(tmp_path / "clip.maps")
        sink.write(result(run))
        sink.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.maps"]
    assert (tmp_path / "clip.maps" / "000001.frame.map.png").exists()
