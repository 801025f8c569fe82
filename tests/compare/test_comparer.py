"""Two engines over the same frames: stopping early, broken sources, repeated runs."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamcam.compare.comparer import Comparer, ComparisonPlan, DetectorComparison
from streamcam.config import Settings, load_settings
from streamcam.errors import SourceError

SCENE = "demo://street?seconds=3&seed=1&width=192&height=108"


def settings(out: Path, **model: str) -> Settings:
    return load_settings(
        flags={
            "model": {"device": "cpu", "precision": "fp32", "imgsz": "192", "batch": "2", **model},
            "sampling": {"max_fps": 2},
            "output": {"folder": out},
        }
    )


def plan(sources: list[str], out: Path) -> ComparisonPlan:
    return ComparisonPlan(
        sources=sources,
        a=settings(out, confidence="0.3"),
        b=settings(out, confidence="0.2"),
        names=("confidence 0.3", "confidence 0.2"),
        probes=0,
    )


def test_what_is_compared_before_a_stop_is_reported(tmp_path: Path) -> None:
    progress: list[tuple[str, int, int]] = []

    def step(what: str, done: int, total: int) -> None:
        progress.append((what, done, total))
        if len(progress) == 2:
            comparer.stop()

    comparer = Comparer(plan([SCENE, f"{SCENE}&people=1"], tmp_path), step)
    comparison = comparer.run()
    assert 2 <= len(comparison.frames) < 6
    (source,) = comparison.sources
    assert source.frames == len(comparison.frames)
    assert source.output is not None
    assert cv2.VideoCapture(str(source.output)).get(cv2.CAP_PROP_FRAME_COUNT) == source.frames
    assert [done for _, done, _ in progress] == sorted(done for _, done, _ in progress)


def test_a_broken_picture_among_others_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "grey.png"), np.full((96, 128, 3), 120, np.uint8))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "out"
    comparison = Comparer(plan([str(folder)], out)).run()
    errors = {Path(one.id).name: one.error for one in comparison.sources}
    assert errors["grey.png"] is None
    assert errors["broken.png"]
    assert [path.name for path in out.iterdir()] == ["grey.compare.jpg"]
    again: DetectorComparison = Comparer(plan([str(folder), str(out)], out)).run()
    assert len(again.sources) == 3  # its own picture among pictures is no source
    assert again.figures.agreement == comparison.figures.agreement


def test_nothing_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"one\.png"):
        Comparer(plan([str(tmp_path)], tmp_path / "out")).run()
    assert not (tmp_path / "out").exists()
