"""Digests of records: what is kept in which slice, and for how long."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamcam.service.http import records_digest
from streamcam.service.http.records_digest import DigestCache, read_digest
from tests.service.http.segments import write_segment

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def records(folder: Path, minute: int, found: list[str]) -> Path:
    write_segment(folder, NOON.replace(minute=minute), 3.0, found)
    return folder / "2026-03-01" / "12" / f"{minute:02}-00.jsonl"


def test_slices_hold_maxima_and_sums(tmp_path: Path) -> None:
    digest = read_digest(records(tmp_path, 0, ["cat", "cat"]), 1.0)
    assert (digest.begin, digest.slice, digest.classes) == (NOON, 1.0, {"cat": 1})
    # To the end of the last frame, not to its beginning.
    assert digest.seconds == pytest.approx(3.0)
    assert digest.frames.tolist() == [(0, 5, 5, 1.25), (1, 5, 5, 1.25), (2, 5, 5, 1.25)]
    assert digest.found.tolist() == [(0, 0, 2, 10, 20), (1, 0, 2, 10, 20), (2, 0, 2, 10, 20)]


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def read(path: Path, seconds: float) -> records_digest.Digest:
        reads.append(path)
        return read_digest(path, seconds)

    monkeypatch.setattr(records_digest, "read_digest", read)
    cache = DigestCache()
    path = records(tmp_path, 0, ["cat"])
    assert cache.known(path) is None
    first = cache.read(path, 1.0)
    assert cache.read(path, 1.0) is cache.known(path) is first
    records(tmp_path, 0, ["cat", "dog"])
    assert cache.known(path) is None
    assert set(cache.read(path, 1.0).classes) == {"cat", "dog"}
    assert reads == [path, path]


def test_the_least_recently_used_is_dropped(tmp_path: Path) -> None:
    cache = DigestCache(size=2)
    paths = [records(tmp_path, minute, ["cat"]) for minute in range(3)]
    for path in (paths[0], paths[1], paths[0], paths[2]):
        cache.read(path, 1.0)
    assert [cache.known(path) is None for path in paths] == [False, True, False]
