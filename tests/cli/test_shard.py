"""`streamcam run --shard`: together, the parts explain every source once."""

import json
from pathlib import Path

import pytest

from tests.cli.stubbed import Stubbed, stubbed, video

__all__ = ["stubbed"]

PARTS = 3


def test_the_parts_together_explain_every_source_once(stubbed: Stubbed, tmp_path: Path) -> None:
    for number in range(6):
        video(tmp_path / "in" / f"clip{number}.mp4")
    done: list[str] = []
    for part in range(1, PARTS + 1):
        ended = stubbed(
            "run", tmp_path / "in", "-o", tmp_path / "out", "--shard", f"{part}/{PARTS}", "--json"
        )
        assert ended.code == 0, ended.stderr
        outcomes = ended.outcomes
        assert set(outcomes.values()) <= {"done"}
        done += [Path(source).name for source in outcomes]
    assert sorted(done) == [f"clip{number}.mp4" for number in range(6)]
    assert len(list((tmp_path / "out").glob("*.manifest.json"))) == 6


def test_a_part_without_sources_is_no_error(stubbed: Stubbed, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4")
    printed = []
    for part in (1, 2):
        ended = stubbed("run", clip, "-o", tmp_path / "out", "--shard", f"{part}/2")
        assert ended.code == 0, ended.stderr
        printed.append(ended.stdout)
    (empty,) = [text for text in printed if "done" not in text]
    assert empty.startswith("None of the sources is in part ")
    ended = stubbed("run", clip, "-o", tmp_path / "out", "--shard", "9/2", "--json")
    assert ended.code == 2
    assert "--shard 9/2: there is no such part" in ended.stderr
    assert not ended.stdout


def test_kubernetes_index_is_counted_from_zero(
    stubbed: Stubbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = video(tmp_path / "clip.mp4")
    found = []
    for index in range(2):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        ended = stubbed("run", clip, "-o", tmp_path / str(index), "--shard", "auto/2", "--json")
        assert ended.code == 0, ended.stderr
        found += json.loads(ended.stdout)
    assert [report["outcome"] for report in found] == ["done"]
