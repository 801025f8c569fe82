"""Kinds of sources: how inputs are recognised, and what it takes to add a kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from streamcam.cli.app import app
from streamcam.demo.source import DemoCapture, DemoSource
from streamcam.errors import SourceError
from streamcam.sources import registry
from streamcam.sources.file import FileSource
from streamcam.sources.inputs import expand, open_source
from streamcam.sources.limits import DEFAULT_LIMITS
from streamcam.sources.live import Address
from streamcam.sources.live.capture_process import open_capture
from streamcam.sources.live.ffmpeg_capture import FFmpegCapture
from streamcam.sources.registry import SourceKind, kind_of
from tests.media import numbered, write_video
from tests.sources.assertions import assert_as_announced, assert_in_order
from tests.sources.npy_source import NpySource
from tests.sources.selectors import Everything, Periodic


@pytest.fixture
def npy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register the example; return a folder with one of its files."""
    kind = SourceKind(lambda path, _: NpySource(path), suffixes=frozenset({".npy"}))
    monkeypatch.setattr(registry, "SOURCES", (kind, *registry.SOURCES))
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "clip.npy", np.stack(numbered(10)))
    return tmp_path / "in"


def test_kinds_are_recognised_by_scheme_or_content(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", numbered(2)).rename(tmp_path / "clip.jpg")
    for location, source in (
        ("demo://street", DemoSource),
        (str(tmp_path / "clip.jpg"), FileSource),
    ):
        kind = kind_of(location)
        assert kind is not None
        assert isinstance(kind.open(location, DEFAULT_LIMITS), source)
    assert kind_of("rtsp://camera/1") is None


def test_a_file_that_is_not_recognised_is_left_to_ffmpeg(tmp_path: Path) -> None:
    kind = kind_of(str(tmp_path / "notes.txt"))
    assert kind is not None
    assert kind.open is FileSource


def test_live_streams_are_referred_to_the_live_command() -> None:
    with pytest.raises(SourceError, match="cannot be read as files") as caught:
        open_source("rtsp://user:secret@camera/1")
    assert caught.value.hint == "For a live stream: streamcam live rtsp://camera/1"


def test_an_added_kind_keeps_what_every_source_keeps(npy: Path) -> None:
    (entry,) = expand([str(npy)])
    source = open_source(entry.spec)
    assert isinstance(source, NpySource)
    frames = list(source.frames(Everything()))
    assert_as_announced(frames, source.info)
    assert_in_order(frames)
    assert (source.decoded, source.corrupt, source.truth(0.0)) == (10, 0, None)
    picked = [frame.index for frame in NpySource(entry.spec).frames(Periodic(0.2))]
    assert picked == [0, 5]


def test_an_added_kind_runs_through_the_pipeline(npy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["run", str(npy), "--output", str(out), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    lines = (out / "clip.detections.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 5]
    assert (out / "clip.heatmap.mp4").is_file()


@pytest.mark.parametrize(
    ("address", "backend"),
    [
        (Address("demo://street?width=160&height=90"), DemoCapture),
        (Address("testsrc2=size=64x48", "lavfi"), FFmpegCapture),
    ],
)
def test_a_live_source_is_captured_by_the_backend_of_its_scheme(
    address: Address, backend: type
) -> None:
    capture = open_capture(address, "camera", None)
    assert isinstance(capture, backend)
    assert capture.generated
    captured = next(frame for frame in capture.frames() if frame is not None)
    assert captured.time == 0.0
    assert captured.picture().ndim == 3
    capture.close()
