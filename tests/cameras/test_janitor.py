"""Old recordings go while cameras run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamcam.cameras.janitor import RetentionThread
from streamcam.config.camera_schema import RetentionSettings
from tests.processes import eventually
from tests.sinks.recording.test_retention import Fixed, left, make, pair

OLD, NEW = "door/2025-03-01/10/00-00", "door/2025-03-10/12/00-00"


def bounds(**settings: object) -> RetentionSettings:
    return RetentionSettings.model_validate({"min_free": 0, **settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, pair(OLD) + pair(NEW))
    return tmp_path


@pytest.fixture
def janitor(folder: Path) -> Iterator[RetentionThread]:
    made = RetentionThread(folder, bounds(max_age=7), Fixed(), period=0.02)
    yield made
    assert made.stop(5)


def test_it_sweeps_at_once_and_counts_days(folder: Path, janitor: RetentionThread) -> None:
    janitor.start()
    assert eventually(lambda: left(folder) == {f"{OLD}.jsonl", *pair(NEW)})


def test_other_bounds_hold_from_the_next_sweep_on(folder: Path, janitor: RetentionThread) -> None:
    janitor.start()
    assert eventually(lambda: f"{OLD}.mp4" not in left(folder))
    janitor.change(folder, bounds(max_age_records=7, max_bytes=1))
    assert eventually(lambda: left(folder) == set())


def test_what_comes_in_later_is_swept_too(folder: Path, janitor: RetentionThread) -> None:
    janitor.start()
    assert eventually(lambda: f"{OLD}.mp4" not in left(folder))
    make(folder, [f"{OLD}.mp4"])
    assert eventually(lambda: f"{OLD}.mp4" not in left(folder))
