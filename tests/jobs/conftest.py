"""A job store, and the real watcher as a process around a stub engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest

from streamcam.fingerprint import identity_of
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.store import JobStore
from tests.cli.conftest import environment
from tests.media import numbered, write_video

TIMEOUT = 60.0
"""Seconds after which something that should have happened has not."""


def eventually(condition: Callable[[], object], what: str, *, within: float = TIMEOUT) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)


def video(path: Path, frames: int = 10) -> Path:
    """Make a video of its own: another number of frames is other content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path.with_name(f".making{path.suffix}"), numbered(frames)).replace(path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    with closing(JobStore(tmp_path / "state" / FILE_NAME)) as store:
        yield store


def arrive(store: JobStore, root: Path, *names: str) -> None:
    """Make files and their jobs, ready."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
        identity = identity_of(path)
        store.check_file(root, path, identity.stat)
        store.enqueue(path, identity, [Path(name).stem, name, f"{name}~1"])


class Daemon:
    """A watcher as a process of its own."""

    def __init__(
        self,
        *arguments: object,
        before: Sequence[str] = (),
        terminal: int | None = None,
        **variables: str,
    ) -> None:
        words = [*before, sys.executable, "-m", "tests.jobs.daemon", *map(str, arguments)]
        self.process = subprocess.Popen(
            words,
            env=environment(**variables),
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def end(self, number: int = signal.SIGTERM) -> str:
        """Signal the process and return its output."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> str:
        output, _ = self.process.communicate(timeout=TIMEOUT)
        return output

    @property
    def code(self) -> int | None:
        return self.process.poll()


@pytest.fixture
def daemons() -> Iterator[Callable[..., Daemon]]:
    """Starts watchers; those that still run at the end are killed."""
    started: list[Daemon] = []

    def start(*arguments: object, **variables: Any) -> Daemon:
        started.append(Daemon(*arguments, **variables))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.communicate()


class Workspace:
    """A watched folder, its results, its job store and the watchers of it."""

    def __init__(self, folder: Path, start: Callable[..., Daemon]) -> None:
        self.incoming = folder / "in"
        self.output = folder / "out"
        self.state = folder / "out.state"
        self.incoming.mkdir()
        self._start = start

    def watch(self, *options: object, **variables: Any) -> Daemon:
        return self._start(
            *("watch", self.incoming, "--output", self.output, "--settle", 0.2, *options),
            STREAMCAM_WATCH_MIN_FREE="0",
            STREAMCAM_WATCH_RETRY_DELAY="200ms",
            **variables,
        )

    def jobs(self) -> dict[str, JobRecord]:
        """Return the jobs by their file's place in the watched folder."""
        if not (self.state / FILE_NAME).exists():
            return {}
        with closing(JobStore(self.state / FILE_NAME)) as store:
            jobs = store.jobs()
        return {os.path.relpath(job.path, self.incoming): job for job in jobs}

    def states(self) -> dict[str, JobState]:
        return {name: job.state for name, job in self.jobs().items()}

    def until(self, **states: str) -> None:
        """Wait until every named file (a dot is written as `__`) is in its state."""
        wanted = {name.replace("__", "."): JobState(state) for name, state in states.items()}
        eventually(lambda: wanted.items() <= self.states().items(), f"{wanted}: {self.states()}")

    def until_all(self, count: int, state: JobState = JobState.DONE) -> None:
        """Wait until there are `count` jobs, all in a state."""
        eventually(
            lambda: (s := list(self.states().values())) == [state] * count,
            f"{count} jobs {state}: {self.states()}",
        )

    def results(self) -> set[str]:
        """Return all that lies in the output folder."""
        return {str(p.relative_to(self.output)) for p in self.output.rglob("*") if p.is_file()}


@pytest.fixture
def workspace(tmp_path: Path, daemons: Callable[..., Daemon]) -> Workspace:
    return Workspace(tmp_path, daemons)


SLOW = {"STUB_FRAME": "0.05"}
"""Makes a video of a hundred frames last five seconds."""

EVERY_FRAME = ("--every", 1)
KINDS = ("detections.jsonl", "heatmap.jpg", "heatmap.mp4", "manifest.json")


def results_of(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in KINDS}


def frames_of(workspace: Workspace, stem: str) -> int:
    """Count a result's frames; the video and the records must agree."""
    records = (workspace.output / f"{stem}.detections.jsonl").read_text().splitlines()
    with av.open(str(workspace.output / f"{stem}.heatmap.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    manifest = json.loads((workspace.output / f"{stem}.manifest.json").read_text())
    assert len({json.loads(line)["frame"] for line in records}) == len(records) == pictures
    assert manifest["outcome"] == "done"
    assert manifest["counts"]["explained"] == pictures
    return pictures


def wait_until_running(workspace: Workspace) -> None:
    eventually(
        lambda: any(part.stat().st_size for part in workspace.output.rglob("*.jsonl.part")),
        "a job writes",
    )
