"""The real command in this process, around an engine that costs nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import jsonschema
import pytest

from streamcam import schemas
from streamcam.cli import app
from streamcam.pipeline import engine_provider
from tests.jobs.daemon import build_engine
from tests.media import numbered, write_video

_MANIFEST = jsonschema.Draft202012Validator(schemas.schema("manifest"))
_RECORD = jsonschema.Draft202012Validator(schemas.schema("record"))


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each source by its path, of a `run` with `--json`."""
        return {report["source"]: report["outcome"] for report in json.loads(self.stdout)}


Stubbed = Callable[..., Ended]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stubbed:
    monkeypatch.setattr(engine_provider, "build_engine", build_engine)
    monkeypatch.setattr(engine_provider, "expected_key", lambda _: None)
    monkeypatch.setattr(app, "set_up_libraries", lambda: None)
    monkeypatch.setenv("STREAMCAM_WATCH_MIN_FREE", "0")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main([str(word) for word in words])
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return call


@dataclass(frozen=True)
class Found:
    """The results under one name: what they say that they are of, and what they show."""

    manifest: dict[str, Any]
    records: list[dict[str, Any]]
    pictures: list[tuple[int, int]]  # widths and heights of the video's frames, or of the picture

    @property
    def source(self) -> str:
        return Path(self.manifest["source"]["location"]).name

    @property
    def shown(self) -> tuple[str, int, tuple[int, int]]:
        """The source's name, the number of explained frames, and their size."""
        (size,) = set(self.pictures)
        return self.source, len(self.pictures), size


def found(folder: Path, stem: str) -> Found:
    """Read results; the manifest, the records and the pictures must agree."""
    manifest = json.loads((folder / f"{stem}.manifest.json").read_text(encoding="utf-8"))
    _MANIFEST.validate(manifest)
    lines = (folder / f"{stem}.detections.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        _RECORD.validate(record)
        assert record["source"] == manifest["source"]["id"]
    ending = "jpg" if manifest["source"]["still"] else "mp4"
    with av.open(str(folder / f"{stem}.heatmap.{ending}")) as container:
        pictures = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert manifest["outcome"] == "done"
    assert len(records) == len(pictures) == manifest["counts"]["explained"]
    listed = {f"{Path(stem).name}.{kind}" for kind in ("heatmap.jpg", "detections.jsonl")}
    assert listed <= set(manifest["outputs"].values())
    return Found(manifest, records, pictures)


def stems(folder: Path) -> set[str]:
    """Return the names that have results; nothing unfinished may lie there."""
    assert not list(folder.rglob("*.part"))
    ending = ".manifest.json"
    return {str(p.relative_to(folder))[: -len(ending)] for p in folder.rglob(f"*{ending}")}


def times(folder: Path) -> dict[str, int]:
    """Return when each result was written."""
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def video(path: Path, frames: int = 4, width: int = 96, height: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Five frames a second, so that each is explained; FFmpeg takes "cam:1.mp4" for a URL.
    return write_video(path.absolute(), numbered(frames, width, height), rate=5)


def picture(path: Path, width: int = 64, height: int = 48, shade: int = 90) -> Path:
    import cv2
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), shade, np.uint8))
    return path
