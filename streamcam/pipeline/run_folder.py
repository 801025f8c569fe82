"""What a run over many sources leaves beside their results: `runs/<start>/`, one folder a run.

`run.json` tells the settings, the versions and the counts (the schema "run"). `failures.jsonl`, a
line for each source that failed, grows as they fail; at the run's end it becomes
`failures.parquet` where pyarrow is installed.
"""

import logging
import platform
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from streamcam.clock import Clock, iso_utc
from streamcam.config import Settings
from streamcam.errors import SinkError
from streamcam.files import write_file
from streamcam.media_errors import writing
from streamcam.observer import Observer
from streamcam.sinks.parquet.table_file import Column, Table, TableFile, has_pyarrow
from streamcam.types import JobReport, Outcome
from streamcam.urls import redacted_url
from streamcam.version import __version__

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1

RUNS = "runs"
RUN_FILE = "run.json"
FAILURES = "failures.jsonl"
FAILURE_TABLE = "failures.parquet"

_FAILURES = Table(
    "failures",
    "source that failed",
    (
        Column("source", "string", "The source: a path, or a URL without credentials."),
        Column("error", "string", "What is wrong and where."),
        Column("hint", "string", "What to do about it.", nullable=True),
        Column("tries", "int32", "How often it was tried."),
        Column("retryable", "bool", "Whether the same work may succeed later."),
    ),
)

_PACKAGES = (
    *("torch", "torchvision", "av", "numpy", "opencv-python-headless"),
    *("onnxruntime", "openvino", "transformers", "ray"),
)

_UPDATE_SECONDS = 60.0
"""Between two versions of `run.json` while the run goes on."""


class RunFolder(Observer):
    """Keeps the folder of one run; a context manager, and an observer of the run's files.

    What cannot be written is logged once: a run is not lost with its summary.

    Args:
        output: The folder of the results, in which `runs` is made.
        shard: The run's part of all sources, from 1, and how many parts there are.
        total: How many sources there are, None where that is not known beforehand.

    Attributes:
        path: The run's own folder, e.g. `out/runs/20250301T120000Z-shard-3-of-64`.
    """

    def __init__(
        self,
        output: Path,
        settings: Settings,
        *,
        shard: tuple[int, int] | None = None,
        total: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._settings = settings
        self._shard = shard
        self._total = total
        self._started = self._clock.utc()
        self._begun = self._written = self._clock.monotonic()
        self._lock = threading.Lock()
        self._outcomes: Counter[Outcome] = Counter()
        self._frames: Counter[str] = Counter()
        self._detections: Counter[str] = Counter()
        self._engine_keys: set[str] = set()
        self._media_seconds = 0.0
        self._state = "running"
        self._fault: str | None = None
        self.path = _new_folder(output / RUNS, _name(self._started, shard))

    def __enter__(self) -> Self:
        self._guarded_write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def file_ended(self, report: JobReport) -> None:
        self.record(report)

    def record(self, report: JobReport, tries: int = 1) -> None:
        """Count a source whose work has ended for good. From any thread.

        Args:
            report: How it ended.
            tries: How often it was tried.
        """
        with self._lock:
            self._count(report)
            if report.outcome is Outcome.FAILED:
                self._append(_failure(report, tries))
            if self._clock.monotonic() - self._written >= _UPDATE_SECONDS:
                self._guarded_write()

    def end(self, error: BaseException | None = None, *, stopped: bool = False) -> None:
        """Write the last version of everything; idempotent.

        Args:
            error: What ended the run before its sources were done.
            stopped: Whether it was asked to end before that.
        """
        with self._lock:
            if self._state != "running":
                return
            if error is not None:
                self._state, self._fault = "failed", str(error) or type(error).__name__
            else:
                stopped = stopped or bool(self._outcomes[Outcome.STOPPED])
                self._state = "stopped" if stopped else "done"
            self._tabulate_failures()
            self._guarded_write()

    def _count(self, report: JobReport) -> None:
        counts = report.counts
        self._outcomes[report.outcome] += 1
        self._detections.update(counts.detections)
        self._media_seconds += report.media_seconds
        self._frames["decoded"] += counts.decoded
        self._frames["explained"] += counts.explained
        self._frames["corrupt"] += counts.corrupt
        if report.engine_key is not None:
            self._engine_keys.add(report.engine_key)

    def _append(self, failure: dict[str, Any]) -> None:
        line = orjson.dumps(failure, option=orjson.OPT_APPEND_NEWLINE)
        try:
            with writing(str(self.path)), (self.path / FAILURES).open("ab") as file:
                file.write(line)
        except SinkError as error:
            self._warn(error)

    def _tabulate_failures(self) -> None:
        """Write the lines of the failures as a table, where that is possible, and remove them."""
        lines = self.path / FAILURES
        if not lines.exists() or not has_pyarrow():
            return
        table = TableFile(self.path / FAILURE_TABLE, _FAILURES)
        try:
            table.write(_lines(lines))
            table.finish()
            lines.unlink()
        except (SinkError, OSError) as error:
            table.abort()
            self._warn(error)

    def _guarded_write(self) -> None:
        self._written = self._clock.monotonic()
        content = orjson.dumps(
            self._values(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        try:
            write_file(self.path / RUN_FILE, content)
        except SinkError as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        logger.warning("the run's summary is not complete: %s", error)

    def _values(self) -> dict[str, Any]:
        now = self._clock.utc()
        names = (FAILURE_TABLE, FAILURES)
        failures = next((name for name in names if (self.path / name).exists()), None)
        outcomes = {
            outcome.value: self._outcomes[outcome]
            for outcome in (Outcome.DONE, Outcome.SKIPPED, Outcome.STOPPED, Outcome.FAILED)
        }
        excluded = {"camera", "sinks", "mqtt", "webhook", "http"}
        return {
            "schema_version": SCHEMA_VERSION,
            "streamcam_version": __version__,
            "versions": _versions(),
            "host": socket.gethostname(),
            "shard": None if self._shard is None else "{}/{}".format(*self._shard),
            "state": self._state,
            "error": self._fault,
            "started": iso_utc(self._started),
            "updated": iso_utc(now),
            "ended": None if self._state == "running" else iso_utc(now),
            "seconds": round(self._clock.monotonic() - self._begun, 3),
            "media_seconds": round(self._media_seconds, 3),
            "sources": {"total": self._total, **outcomes},
            "frames": {name: self._frames[name] for name in ("decoded", "explained", "corrupt")},
            "detections": dict(self._detections.most_common()),
            "engine_keys": sorted(self._engine_keys),
            "failures": failures,
            "settings": self._settings.model_dump(mode="json", exclude=excluded),
        }


@contextmanager
def kept_run_folder(
    settings: Settings, *, shard: tuple[int, int] | None = None, total: int | None = None
) -> Iterator[RunFolder]:
    """Keep the folder of a run among its results; with those in object storage to its end only.

    Then it is made on this machine and uploaded when the run has ended, whichever way.
    """
    output = settings.output.folder
    if isinstance(output, Path):
        with RunFolder(output, settings, shard=shard, total=total) as folder:
            yield folder
        return
    from streamcam.pipeline.remote_result_folder import upload_folder
    from streamcam.storage.scratch import scratch_folder

    folder = RunFolder(scratch_folder(), settings, shard=shard, total=total)
    try:
        with folder:
            yield folder
    finally:
        upload_folder(folder.path, output / RUNS / folder.path.name)


def _name(started: datetime, shard: tuple[int, int] | None) -> str:
    start = f"{started:%Y%m%dT%H%M%SZ}"
    return start if shard is None else "{}-shard-{}-of-{}".format(start, *shard)


def _new_folder(runs: Path, name: str) -> Path:
    """Make a folder that no other run has, also of those that began in the same second."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    with writing(str(runs)):
        for each in names:
            try:
                (runs / each).mkdir(parents=True)
            except FileExistsError:
                continue
            return runs / each
    raise AssertionError("there is always another number")


def _failure(report: JobReport, tries: int) -> dict[str, Any]:
    return {
        "source": redacted_url(report.source),
        "error": redacted_url(report.error or "unknown"),
        "hint": report.hint,
        "tries": tries,
        "retryable": report.retryable,
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


@cache
def _versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
