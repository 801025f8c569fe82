"""Results of each source have names of their own, whichever run comes first, and in parallel."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamcam.sinks.base import result_path
from streamcam.sinks.claim import ResultClaim
from streamcam.sinks.manifest import SourceIdentity
from tests.cli.conftest import environment
from tests.cli.stubbed import Stubbed, found, picture, stems, stubbed, times, video
from tests.jobs.conftest import eventually

__all__ = ["stubbed"]

PICTURE = ("a.jpg", 1, (64, 48))
VIDEO = ("a.mp4", 4, (96, 64))


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    picture(Path("a.jpg"))
    video(Path("a.mp4"))
    return tmp_path / "out"


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def slow() -> Iterator[Start]:
    """Starts runs, as processes, that take 0.1 s for each frame, and waits until one writes."""
    processes = []

    def start(out: Path, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.jobs.daemon", "run", *words, "-o", out]
        processes.append(
            subprocess.Popen(
                [str(word) for word in command],
                env=environment(STUB_FRAME="0.1", PYTHONPATH=str(Path(__file__).parents[2])),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        eventually(lambda: any(p.stat().st_size for p in out.rglob("*.jsonl.part")), "it writes")
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("order", [("a.jpg", "a.mp4"), ("a.mp4", "a.jpg")])
def test_two_files_of_one_stem_in_two_runs(
    stubbed: Stubbed, out: Path, order: tuple[str, str]
) -> None:
    first, second = order
    assert stubbed("run", first, "-o", out, "--json").outcomes == {first: "done"}
    kept = times(out)
    done = stubbed("run", second, "-o", out, "--json")
    assert done.outcomes == {second: "done"}
    expected = (
        f"{second}: its results are called {second}.*, as a.* are of {Path(first).absolute()}"
    )
    assert expected in done.stderr
    assert stems(out) == {"a", second}
    assert kept.items() <= times(out).items()
    shown = {"a.jpg": PICTURE, "a.mp4": VIDEO}
    assert found(out, "a").shown == shown[first]
    assert found(out, second).shown == shown[second]
    everything = times(out)
    for again in (order, order[::-1], (first,), (second,)):
        outcomes = stubbed("run", *again, "-o", out, "--json").outcomes
        assert outcomes == dict.fromkeys(again, "skipped")
    assert times(out) == everything
    stubbed("run", second, "-o", out, "--overwrite")
    assert found(out, second).shown == shown[second]
    assert kept.items() <= times(out).items()


def test_two_files_of_one_stem_in_one_run(stubbed: Stubbed, out: Path) -> None:
    assert stubbed("run", "a.jpg", "a.mp4", "-o", out).code == 0
    assert stems(out) == {"a.jpg", "a.mp4"}
    assert found(out, "a.jpg").shown == PICTURE
    assert found(out, "a.mp4").shown == VIDEO
    assert "skipped" in stubbed("run", "a.mp4", "-o", out).stdout
    outcomes = stubbed("run", "a.mp4", "a.jpg", "-o", out, "--json").outcomes
    assert outcomes == {"a.mp4": "skipped", "a.jpg": "skipped"}


def test_files_of_one_name_in_several_folders(
    stubbed: Stubbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder tells them apart; the ending, which comes first elsewhere, would not."""
    for day in range(1, 4):
        monkeypatch.chdir(video(out.parent / f"day{day}" / "clip.mp4", frames=day).parent)
        assert stubbed("run", "clip.mp4", "-o", out).code == 0
    assert stems(out) == {"clip", "day2/clip.mp4", "day3/clip.mp4"}
    for number, stem in enumerate(("clip", "day2/clip.mp4", "day3/clip.mp4"), 1):
        assert found(out, stem).shown == ("clip.mp4", number, (96, 64))
        assert found(out, stem).manifest["source"]["location"].endswith(f"day{number}/clip.mp4")


def test_names_that_look_like_something_else(stubbed: Stubbed, out: Path) -> None:
    video(Path("cam:1.mp4"), frames=2)
    picture(Path("cam:1.jpg"))
    video(Path("A.mp4"), frames=3)
    names = ["cam:1.mp4", "cam:1.jpg", "A.mp4", "a.mp4"]
    for name in names:
        assert stubbed("run", name, "-o", out, "--json").outcomes == {name: "done"}
    assert found(out, "cam:1").shown == ("cam:1.mp4", 2, (96, 64))
    assert found(out, "cam:1.jpg").shown == ("cam:1.jpg", 1, (64, 48))
    assert found(out, "A").shown == ("A.mp4", 3, (96, 64))
    assert found(out, "a").shown == VIDEO
    outcomes = stubbed("run", *names, "-o", out, "--json").outcomes
    assert outcomes == dict.fromkeys(names, "skipped")


def test_names_that_differ_by_case_only_where_that_is_no_difference(
    stubbed: Stubbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS, Windows and memory cards A.heatmap.mp4 and a.heatmap.mp4 are one file."""

    def folded(folder: Path, stem: str, ending: str) -> Path:
        return result_path(folder, stem.casefold(), ending)

    for module in ("sinks.base", "sinks.registry", "pipeline.result_folder"):
        monkeypatch.setattr(f"streamcam.{module}.result_path", folded)
    video(Path("A.mp4"), frames=3)
    video(Path("A.mkv"), frames=2)
    for names in (("a.mp4",), ("A.mp4",), ("A.mkv", "a.mp4", "A.mp4")):
        assert stubbed("run", *names, "-o", out).code == 0
    assert stems(out) == {"a", "a.mp4", "a.mkv"}
    assert found(out, "a").shown == VIDEO
    assert found(out, "a.mp4").shown == ("A.mp4", 3, (96, 64))
    assert found(out, "a.mkv").shown == ("A.mkv", 2, (96, 64))
    again = stubbed("run", "A.mp4", "a.mp4", "A.mkv", "-o", out, "--json")
    assert set(again.outcomes.values()) == {"skipped"}


def test_what_a_killed_run_left_is_replaced(stubbed: Stubbed, out: Path, slow: Start) -> None:
    video(Path("long.mp4"), frames=60)
    process = slow(out, "long.mp4", "--save-maps", "png")
    process.kill()
    process.wait()
    assert {p.name for p in out.iterdir()} >= {"long.manifest.json.part", "long.maps.part"}
    picture(Path("long.jpg"))
    assert stubbed("run", "long.jpg", "-o", out).code == 0
    assert stems(out) == {"long"}, "nothing keeps the name"
    assert found(out, "long").shown == ("long.jpg", 1, (64, 48))
    assert stubbed("run", "long.mp4", "-o", out).code == 0
    assert found(out, "long.mp4").shown == ("long.mp4", 60, (96, 64))
    assert stems(out) == {"long", "long.mp4"}


def test_a_run_killed_between_its_files_is_not_taken_for_complete(
    stubbed: Stubbed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest of the results that it replaces is gone before the first of them is."""
    stubbed("run", "a.mp4", "-o", out)

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("streamcam.pipeline.file_results.write_manifest", killed)
        assert stubbed("run", "a.mp4", "-o", out, "--every", 2).code
    assert not (out / "a.manifest.json").exists()
    assert stubbed("run", "a.mp4", "-o", out, "--json").outcomes == {"a.mp4": "done"}
    assert found(out, "a").shown == VIDEO


def test_runs_at_the_same_time_share_an_output_folder(
    stubbed: Stubbed, out: Path, slow: Start
) -> None:
    video(Path("b.mp4"), frames=40)
    picture(Path("b.jpg"))
    process = slow(out, "b.mp4")
    beside = stubbed("run", "b.jpg", "-o", out)
    assert process.poll() is None, "it should still run"
    assert found(out, "b.jpg").shown == ("b.jpg", 1, (64, 48)), beside.stderr
    same = stubbed("run", "b.mp4", "-o", out, "--json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "b.mp4: another process explains it now; waiting for its end" in same.stderr
    assert same.outcomes == {"b.mp4": "skipped"}
    assert stems(out) == {"b", "b.jpg"}
    assert found(out, "b").shown == ("b.mp4", 40, (96, 64))


def test_a_run_that_is_stopped_keeps_the_complete_results_from_before(
    stubbed: Stubbed, out: Path, slow: Start
) -> None:
    video(Path("b.mp4"), frames=40)
    stubbed("run", "b.mp4", "-o", out)
    before = times(out)
    process = slow(out, "b.mp4", "--overwrite")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "b.mp4: its complete results from before are kept" in output
    assert stems(out) == {"b"}
    assert times(out) == before


def test_a_claim_is_free_when_its_process_has_ended(tmp_path: Path) -> None:
    manifest = tmp_path / "a.manifest.json"
    mine, other = (SourceIdentity(f"/in/a.{ending}", None) for ending in ("mp4", "jpg"))
    child = os.fork()
    if child == 0:
        ResultClaim(manifest, other).acquire()
        (tmp_path / "claimed").touch()
        time.sleep(60)
        os._exit(0)
    eventually((tmp_path / "claimed").exists, "claimed")
    claim = ResultClaim(manifest, mine)
    assert not claim.acquire()
    assert claim.holder() == other
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert claim.acquire()
    assert claim.holder() == mine
    claim.release()
    claim.release()
    assert not list(tmp_path.glob("*.part"))
