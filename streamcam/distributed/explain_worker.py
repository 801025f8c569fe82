"""A worker of a distributed run: one engine, and several sources at once that share its batches."""

import logging
import os
import shutil
import socket
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.distributed.worker_observer import WorkerEvents, WorkerObserver
from streamcam.errors import DeviceError, StreamcamError
from streamcam.jobs.owner import (
    OUT_OF_MEMORY,
    crash_log,
    crash_of,
    killed_for_memory,
    this_process,
)
from streamcam.malloc import limit_arenas
from streamcam.pipeline.engine_pool import make_engine_provider
from streamcam.pipeline.file_job import Job
from streamcam.pipeline.split_job import SplitJob
from streamcam.process_tuning import set_up_libraries
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport
from streamcam.urls import StorageUrl
from streamcam.version import __version__


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What the driver wants to know of a worker that has started.

    Attributes:
        process: Name of its process, see `this_process`.
        crash_folder: Folder of its own on its node, see `crash`.
        node: Ray's id of its node.
        version: Of its streamcam.
    """

    process: str
    crash_folder: str
    node: str
    host: str
    version: str


@dataclass(frozen=True, slots=True)
class WorkResult:
    """What became of a source in a worker.

    Attributes:
        report: None where the engine could not be built.
        fault: The error that no source is to blame for: of building the engine, or of its device.
        events: What has not been told yet, of this source too.
    """

    report: JobReport | None
    fault: StreamcamError | None
    events: WorkerEvents


class ExplainWorker:
    """Explains sources with an engine of its own; its methods are called from several threads.

    Args:
        settings: With an absolute output folder, which all nodes share.
        folder: The driver's working folder, in which relative names of sources are looked up.
    """

    def __init__(self, settings: Settings, folder: str) -> None:
        set_up_libraries()
        limit_arenas()
        _enter(folder)
        self._settings = settings
        self._observer = WorkerObserver()
        logging.getLogger("streamcam").addHandler(self._observer)
        self._clock = Clock()
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._process = this_process()
        self._exits = ExitStack()
        prefix = "streamcam-worker-"
        self._crash_folder = self._exits.enter_context(TemporaryDirectory(prefix=prefix))
        self._exits.enter_context(crash_log(Path(self._crash_folder), self._process))
        self._provider = self._exits.enter_context(
            make_engine_provider(settings, self._observer.download_progressed)
        )

    def identity(self) -> WorkerIdentity:
        import ray

        return WorkerIdentity(
            self._process,
            self._crash_folder,
            ray.get_runtime_context().get_node_id(),
            socket.gethostname(),
            __version__,
        )

    def explain(self, number: int, entry: Entry) -> WorkResult:
        """Explain a source, unless there are complete results of it; errors are in the result."""
        observer = self._observer.of(number)
        job = SplitJob(entry, self._settings, self._provider, observer, self._clock)
        with self._lock:
            self._jobs[number] = job
        report: JobReport | None = None
        fault: StreamcamError | None = None
        try:
            report = job.run()
            fault = report.cause if isinstance(report.cause, DeviceError) else None
            report = replace(report, cause=None)
        except StreamcamError as error:
            fault = error
        finally:
            with self._lock:
                del self._jobs[number]
            self._observer.forget(number)
        return WorkResult(report, fault, self.events())

    def events(self) -> WorkerEvents:
        """Return what has happened since the last call."""
        return self._observer.take_events()

    def abort(self) -> None:
        """End at once; unfinished results leave no trace."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.abort()

    def close(self) -> None:
        self._exits.close()


def crash(worker: WorkerIdentity, oom_kills: int | None) -> str | None:
    """Return what crashed a worker of this node; None if it left no trace.

    Args:
        worker: It has ended; its crash folder is removed.
        oom_kills: What `count_oom_kills` gave when it was last heard of.
    """
    folder = Path(worker.crash_folder)
    found = crash_of(folder, worker.process)
    shutil.rmtree(folder, ignore_errors=True)
    return OUT_OF_MEMORY if killed_for_memory(worker.process, oom_kills) else found


def absolute(settings: Settings) -> Settings:
    """Return settings whose output folder does not depend on the working folder."""
    folder = settings.output.folder
    if isinstance(folder, StorageUrl):
        return settings
    output = settings.output.model_copy(update={"folder": folder.absolute()})
    return settings.model_copy(update={"output": output})


def _enter(folder: str) -> None:
    """Go to the driver's working folder; a node that has none can do with absolute names."""
    with suppress(OSError):
        os.chdir(folder)
