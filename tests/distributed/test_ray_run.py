"""Runs on a real cluster of one node: results, deaths of workers, sources that kill them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from streamcam.config import Settings
from streamcam.distributed.cluster import connected
from streamcam.distributed.cluster_progress import ClusterProgress
from streamcam.distributed.ray_run import RayRun
from streamcam.errors import ClusterError
from streamcam.observer import Observer
from streamcam.pipeline.file_run import Run
from streamcam.sinks import registry
from streamcam.sinks.registry import is_result
from streamcam.sources.inputs import expand
from streamcam.types import JobReport, Outcome, SourceInfo
from tests.distributions import install
from tests.media import numbered, write_video
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.usefixtures("cluster")

FRAMES = 3

# What a decoder that crashes, and an operator that kills, do to a worker.
FATAL_SINK = '''
"""Ends the process at a source called "crashing", and once at one called "unlucky"."""

import os
import signal

from streamcam.sinks.base import Sink, SinkSettings, SinkTarget


class FatalSettings(SinkSettings):
    trace: str


class FatalSink(Sink[FatalSettings]):
    settings_type = FatalSettings

    def __init__(self, target: SinkTarget, settings: FatalSettings) -> None:
        self._stem, self._trace = target.stem, settings.trace

    def write(self, item, picture) -> None:
        first = not os.path.exists(f"{self._trace}/{self._stem}")
        open(f"{self._trace}/{self._stem}", "a").write(f"{os.getpid()}\\n")
        if self._stem == "crashing":
            signal.raise_signal(signal.SIGSEGV)
        if self._stem == "unlucky" and first:
            signal.raise_signal(signal.SIGKILL)

    def finish(self) -> None:
        return None

    def abort(self) -> None:
        pass
'''


class ToldFiles(Observer):
    def __init__(self) -> None:
        self.started: list[str] = []
        self.remarks: list[tuple[str, str]] = []
        self.ended: list[str] = []

    def file_started(self, info: SourceInfo) -> None:
        self.started.append(Path(info.id).stem)

    def file_remarked(self, source: str, remark: str) -> None:
        self.remarks.append((Path(source).stem, remark))

    def file_ended(self, report: JobReport) -> None:
        self.ended.append(Path(report.source).stem)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[None]:
    """Connect to a cluster of one core, whose workers find the sink `fatal`."""
    folder = tmp_path_factory.mktemp("site-packages")
    entry_points = "[streamcam.sinks]\nfatal = fatal_sink:FatalSink\n"
    install(folder, "fatal_sink", FATAL_SINK, entry_points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        patch.syspath_prepend(folder)
        registry._entries.cache_clear()
        ray.init(
            "local",
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=80_000_000,
        )
        yield
        ray.shutdown()
    registry._entries.cache_clear()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for stem in ("calm", "crashing", "unlucky", "zebra"):
        write_video(folder / f"{stem}.mp4", numbered(FRAMES, 96, 64))
    return folder


def settings_of(folder: Path, **sections: dict[str, Any]) -> Settings:
    tables: dict[str, dict[str, Any]] = {
        "model": {"batch": 1, "device": "cpu"},
        "output": {"folder": folder, "workers": 1},
        "sampling": {"every": 1},
        "ray": {"address": "local"},
    }
    for name, values in sections.items():
        tables[name] = {**tables.get(name, {}), **values}
    return Settings.model_validate(tables)


def results(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.name: path.read_bytes() for path in files}


def test_results_are_those_of_a_plain_run_and_are_made_once(clips: Path, tmp_path: Path) -> None:
    entries = expand([str(clips)], is_result)
    plain, spread = settings_of(tmp_path / "plain"), settings_of(tmp_path / "spread")
    assert all(r.outcome is Outcome.DONE for r in Run(plain, Observer()).explain(entries))
    told, progress = ToldFiles(), list[ClusterProgress]()

    reports = list(RayRun(spread, told, progress.append).explain(iter(entries)))

    assert sorted(told.ended) == ["calm", "crashing", "unlucky", "zebra"]
    assert sorted(told.started) == sorted(told.ended)
    assert [(report.outcome, tries) for report, tries in reports] == [(Outcome.DONE, 1)] * 4
    assert all(report.counts.explained == FRAMES for report, _ in reports)
    made, expected = results(tmp_path / "spread"), results(tmp_path / "plain")
    assert made.keys() == expected.keys()
    for name in made:
        if not name.endswith(".manifest.json"):
            assert made[name] == expected[name], name
    key = [json.loads(each["calm.manifest.json"])["engine"]["key"] for each in (made, expected)]
    assert key[0] == key[1]
    assert progress[-1].total == progress[-1].ended == 4

    again = list(RayRun(spread, ToldFiles()).explain(iter(entries)))
    assert [report.outcome for report, _ in again] == [Outcome.SKIPPED] * 4
    assert results(tmp_path / "spread") == made


def test_a_lost_worker_costs_its_source_a_try_and_a_crashing_source_is_set_aside(
    clips: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    trace.mkdir()
    settings = settings_of(
        tmp_path / "out",
        sinks={"fatal": {"trace": str(trace)}},
        ray={"max_attempts": 2},
        output={"video": "off"},
    )
    told = ToldFiles()

    ended = {
        Path(report.source).stem: (report, tries)
        for report, tries in RayRun(settings, told).explain(expand([str(clips)], is_result))
    }

    report, tries = ended.pop("crashing")
    assert report.outcome is Outcome.FAILED
    assert "its worker crashed 2 times while it worked on this file" in (report.error or "")
    assert "Segmentation fault" in (report.error or "")
    assert tries == 2
    assert {stem: tries for stem, (_, tries) in ended.items()} == {
        "calm": 1,
        "unlucky": 2,
        "zebra": 1,
    }
    assert all(report.outcome is Outcome.DONE for report, _ in ended.values())
    # What was done was not done again: as many writes as frames, one more where a worker died.
    written = {file.name: len(file.read_text().splitlines()) for file in trace.iterdir()}
    assert written == {"calm": FRAMES, "unlucky": 1 + FRAMES, "zebra": FRAMES, "crashing": 2}
    assert ("unlucky", "its worker was lost; another one begins it anew") in told.remarks
    assert not list((tmp_path / "out").glob("crashing*"))
    assert not list((tmp_path / "out").rglob("*.part"))


def test_object_storage_gets_the_same_results(
    clips: Path, tmp_path: Path, s3_server: S3Server
) -> None:
    s3_server.put("ray/in/calm.mp4", clips / "calm.mp4")
    settings = settings_of(tmp_path, output={"folder": s3_server.url("ray/out/")})
    told = ToldFiles()

    entries = expand([s3_server.url("ray/in/")], is_result)
    ((report, tries),) = RayRun(settings, told).explain(entries)

    assert (report.outcome, report.error, tries) == (Outcome.DONE, None, 1)
    assert told.started == told.ended == ["calm"]
    plain = settings_of(tmp_path / "plain")
    list(Run(plain, Observer()).explain(expand([str(clips / "calm.mp4")])))
    s3_server.download("ray/out/", tmp_path / "stored")
    for name in ("calm.heatmap.mp4", "calm.heatmap.jpg"):
        stored = next((tmp_path / "stored").rglob(name))
        assert stored.read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_stopping_gives_nothing_further_out(clips: Path, tmp_path: Path) -> None:
    work = RayRun(settings_of(tmp_path / "out", output={"video": "off"}), Observer())
    reports = []
    for report, _ in work.explain(expand([str(clips)], is_result)):
        reports.append(report)
        work.stop()
    assert 1 <= len(reports) <= 2
    manifests = list((tmp_path / "out").glob("*.manifest.json"))
    assert len(manifests) == len(reports)


def test_a_cluster_without_room_says_what_to_ask_for(clips: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "out", ray={"cpus_per_worker": 64})
    with pytest.raises(ClusterError, match=r"no node .* for a worker of 64 CPUs") as caught:
        list(RayRun(settings, Observer()).explain(expand([str(clips)], is_result)))
    assert "--cpus-per-worker" in (caught.value.hint or "")


def test_a_process_that_is_connected_keeps_its_cluster() -> None:
    with connected("local"):
        assert ray.is_initialized()
    assert ray.is_initialized()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
