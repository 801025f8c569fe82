"""What is skipped and what is explained anew: results belong to a content and to an engine."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from streamcam.pipeline import file_job
from tests.cli.stubbed import Stubbed, found, picture, stems, stubbed, times, video
from tests.jobs.daemon import StubEngine

__all__ = ["stubbed"]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


def edit_manifest(path: Path, **changes: Any) -> None:
    """Change or (with None) remove keys, written as `section__key`."""
    content = json.loads(path.read_bytes())
    for name, value in changes.items():
        section, _, key = name.partition("__")
        content[section].pop(key)
        content[section] |= {} if value is None else {key: value}
    path.write_text(json.dumps(content), encoding="utf-8")


def make_old(path: Path) -> None:
    """Turn a manifest into one of a version that knew no fingerprints and keys."""
    nothing = dict.fromkeys(
        ("source__location", "source__fingerprint", "engine__key", "engine__parts")
    )
    edit_manifest(path, **nothing)


def test_what_is_complete_is_skipped_unopened(
    stubbed: Stubbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video(Path("a.mp4"))
    assert stubbed("run", "a.mp4", "-o", out).code == 0
    before = times(out)

    def never(*_: object) -> None:
        raise AssertionError("what is complete is not decoded")

    monkeypatch.setattr(file_job, "open_source", never)
    again = stubbed("run", "a.mp4", "-o", out, "--json")
    assert (again.code, again.outcomes) == (0, {"a.mp4": "skipped"})
    (report,) = json.loads(again.stdout)
    assert set(report["outputs"].values()) == set(before)
    assert times(out) == before


def test_other_settings_replace_the_results(stubbed: Stubbed, out: Path) -> None:
    video(Path("a.mp4"))
    stubbed("run", "a.mp4", "-o", out, "--save-maps", "png")
    first = found(out, "a").manifest
    done = stubbed("run", "a.mp4", "-o", out, "--every", 2)
    assert done.code == 0
    assert "a.mp4: its results were made differently (" in done.stderr
    assert "sampling.every was not set, is 2" in done.stderr
    assert "output.save_maps was png, is off" in done.stderr
    assert stems(out) == {"a"}
    assert found(out, "a").shown == ("a.mp4", 2, (96, 64))
    assert not (out / "a.maps").exists(), "maps of other frames would be left"
    second = found(out, "a").manifest
    assert first["engine"]["key"] != second["engine"]["key"]
    assert second["engine"]["parts"]["sampling.every"] == 2
    assert first["source"]["fingerprint"] == second["source"]["fingerprint"]


def test_another_method_or_model_is_another_engine(stubbed: Stubbed, out: Path) -> None:
    picture(Path("a.jpg"))
    keys = []
    for words in ((), ("--method", "layercam"), ("--model", "ssd300_vgg16"), ("--grid", "pool")):
        done = stubbed("run", "a.jpg", "-o", out, "--json", *words)
        assert done.outcomes == {"a.jpg": "done"}
        assert ("made differently" in done.stderr) is bool(words)
        keys.append(found(out, "a").manifest["engine"]["key"])
    assert len(set(keys)) == 4
    assert stems(out) == {"a"}


def test_where_and_how_fast_it_runs_does_not_matter(stubbed: Stubbed, out: Path) -> None:
    picture(Path("a.jpg"))
    stubbed("run", "a.jpg", "-o", out)
    words = ("--device", "cpu", "--batch", 2, "--workers", 1, "--encoder", "libx264")
    assert stubbed("run", "a.jpg", "-o", out, "--json", *words).outcomes == {"a.jpg": "skipped"}


def test_other_weights_under_the_same_name_are_noticed(
    stubbed: Stubbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(Path("a.jpg"))
    monkeypatch.setattr(StubEngine.description, "weights_sha256", "aa" * 32)
    stubbed("run", "a.jpg", "-o", out)
    monkeypatch.setattr(StubEngine.description, "weights_sha256", "bb" * 32)
    done = stubbed("run", "a.jpg", "-o", out)
    assert "model.weights was aaaaaa" in done.stderr
    assert found(out, "a").manifest["engine"]["weights_sha256"] == "bb" * 32
    assert "skipped" in stubbed("run", "a.jpg", "-o", out).stdout


def test_skip_existing_and_overwrite_are_as_people_know_them(stubbed: Stubbed, out: Path) -> None:
    video(Path("a.mp4"))
    stubbed("run", "a.mp4", "-o", out)
    before = times(out)
    kept = stubbed("run", "a.mp4", "-o", out, "--every", 2, "--skip-existing", "--json")
    assert kept.outcomes == {"a.mp4": "skipped"}
    assert times(out) == before
    again = stubbed("run", "a.mp4", "-o", out, "--overwrite", "--json")
    assert again.outcomes == {"a.mp4": "done"}
    assert "made differently" not in again.stderr
    assert min(times(out).values()) > max(before.values())
    both = stubbed("run", "a.mp4", "-o", out, "--overwrite", "--skip-existing")
    assert both.code == 2
    assert "contradict" in both.stderr


@pytest.mark.parametrize("option", [(), ("--skip-existing",)])
def test_a_changed_file_is_explained_anew(stubbed: Stubbed, out: Path, option: tuple[str]) -> None:
    video(Path("a.mp4"), frames=4)
    stubbed("run", "a.mp4", "-o", out)
    stat = Path("a.mp4").stat()
    video(Path("a.mp4"), frames=6, width=64)
    os.utime("a.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = stubbed("run", "a.mp4", "-o", out, *option)
    assert "a.mp4: it has changed since it was explained; explaining it anew" in done.stderr
    assert stems(out) == {"a"}
    assert found(out, "a").shown == ("a.mp4", 6, (64, 64))


def test_a_file_that_moved_keeps_its_results(stubbed: Stubbed, out: Path) -> None:
    video(Path("a.mp4"))
    stubbed("run", "a.mp4", "-o", out)
    moved = Path("archive/a.mp4").absolute()
    moved.parent.mkdir()
    shutil.move("a.mp4", moved)
    assert stubbed("run", moved, "-o", out, "--json").outcomes == {str(moved): "skipped"}


def test_results_that_lack_a_file_are_made_again(stubbed: Stubbed, out: Path) -> None:
    video(Path("a.mp4"))
    stubbed("run", "a.mp4", "-o", out)
    (out / "a.heatmap.mp4").unlink()
    done = stubbed("run", "a.mp4", "-o", out, "--skip-existing")
    assert "its results are not complete; explaining it anew" in done.stderr
    assert found(out, "a").shown == ("a.mp4", 4, (96, 64))


def test_results_of_an_earlier_version_are_made_again_unless_told_not_to(
    stubbed: Stubbed, out: Path
) -> None:
    video(Path("a.mp4"))
    stubbed("run", "a.mp4", "-o", out)
    make_old(out / "a.manifest.json")
    before = times(out)
    kept = stubbed("run", "a.mp4", "-o", out, "--skip-existing", "--json")
    assert kept.outcomes == {"a.mp4": "skipped"}
    assert times(out) == before
    done = stubbed("run", "a.mp4", "-o", out)
    assert "its results, of an earlier streamcam, do not tell what they were made" in done.stderr
    assert stems(out) == {"a"}
    assert found(out, "a").manifest["source"]["fingerprint"]


def test_old_results_of_another_file_are_left_alone(stubbed: Stubbed, out: Path) -> None:
    picture(Path("a.jpg"))
    video(Path("a.mp4"))
    stubbed("run", "a.jpg", "-o", out)
    make_old(out / "a.manifest.json")
    before = times(out)
    stubbed("run", "a.mp4", "-o", out)
    assert found(out, "a.mp4").shown == ("a.mp4", 4, (96, 64))
    assert before.items() <= times(out).items()


def test_of_a_folder_of_pictures_only_what_is_new_or_changed_is_explained(
    stubbed: Stubbed, out: Path
) -> None:
    for number in range(3):
        picture(Path(f"in/{number}.png"), shade=60 + number)
    assert set(stubbed("run", "in", "-o", out, "--json").outcomes.values()) == {"done"}
    picture(Path("in/3.png"), shade=200)
    picture(Path("in/1.png"), width=80)
    assert stubbed("run", "in", "-o", out, "--json").outcomes == {
        "in/0.png": "skipped",
        "in/1.png": "done",
        "in/2.png": "skipped",
        "in/3.png": "done",
    }
    assert [found(out, str(n)).shown[2] for n in range(4)] == [(64, 48), (80, 48)] + 2 * [(64, 48)]


def test_scenes_are_told_apart_by_their_whole_address(stubbed: Stubbed, out: Path) -> None:
    scenes = [f"demo://street?seconds=0.4&seed={seed}" for seed in (1, 2)]
    for scene in (*scenes, scenes[0]):
        stubbed("run", scene, "-o", out)
    assert stems(out) == {"street", "street-seconds=0.4-seed=2"}
    assert stubbed("run", *scenes, "-o", out, "--json").outcomes == dict.fromkeys(scenes, "skipped")


@pytest.mark.parametrize("name", ["out.mp4", "present.txt", "present.txt/deep"])
def test_an_output_that_is_a_file_is_refused_at_once(
    stubbed: Stubbed, out: Path, name: str
) -> None:
    video(Path("in/a.mp4"))
    Path("present.txt").write_text("a file")
    for words in (("run", "in/a.mp4"), ("watch", "in", "--once")):
        done = stubbed(*words, "-o", name)
        assert done.code == 2
        assert "--output" in done.stderr
        assert "results need a folder" in done.stderr
    assert {path.name for path in out.parent.iterdir()} == {"in", "present.txt"}
    assert Path("present.txt").read_text() == "a file"
