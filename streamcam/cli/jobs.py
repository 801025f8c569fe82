"""`streamcam jobs`: see and change the job store of a watcher, also while it runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcam.cli import options
from streamcam.cli.terminal import output, print_json, show_error, styled, table
from streamcam.config import load_settings
from streamcam.config.fields import Tables, wrong_word
from streamcam.errors import ExitCode, UsageError
from streamcam.files import readable
from streamcam.jobs.job_record import JobRecord, JobState
from streamcam.jobs.store import JobStore
from streamcam.jobs.watcher import state_folder

app = typer.Typer(no_args_is_help=True, help="See and change the jobs of watched folders.")

_STYLES = {
    JobState.FOUND: "dim",
    JobState.READY: "cyan",
    JobState.RUNNING: "bold cyan",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.SKIPPED: "yellow",
}

_STORE_FLAGS = options.from_settings("watch.state", "output.folder")

_Jobs = Annotated[list[str] | None, typer.Argument(help="Numbers or files.", metavar="[JOB...]")]
_Status = Annotated[
    str | None,
    typer.Option("--status", help="Only these: found, ready, running, done, failed, skipped."),
]


@app.command("list")
@_STORE_FLAGS
def list_jobs(
    flags: Tables,
    status: _Status = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many of the latest are shown.")
    ] = 100,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """List the files of the watched folders, the latest arrivals last."""
    states = _states(status)
    with _job_store(config, flags) as store:
        jobs, counts = store.jobs(states, limit), store.counts()
    if json:
        print_json([_as_json(job) for job in jobs], indent=True)
        return
    rows = table("job", "state", "arrived", "file", "why", right=("job",), fold=("file", "why"))
    for job in jobs:
        rows.add_row(
            str(job.id),
            styled(job.state.value, _STYLES[job.state]),
            _moment(job.arrived),
            job.name,
            job.error or "",
        )
    output().print(rows)
    total = sum(counts.values())
    parts = ", ".join(f"{number} {name.value}" for name, number in counts.items() if number)
    output().print(f"{total} jobs: {parts}" if total else "no jobs")


@app.command()
@_STORE_FLAGS
def show(
    job: Annotated[str, typer.Argument(help="Its number or file.")],
    flags: Tables,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Show all that is known of one job."""
    with _job_store(config, flags) as store:
        facts = _as_json(store.find(job))
    if json:
        print_json(facts, indent=True)
        return
    rows = table("name", "value", show_header=False)
    for name, value in facts.items():
        for part in value.values() if isinstance(value, dict) else [value]:
            if part is not None:
                rows.add_row(name.replace("_", " "), str(part))
    output().print(rows)


@app.command()
@_STORE_FLAGS
def retry(
    flags: Tables, jobs: _Jobs = None, status: _Status = None, config: options.Config = None
) -> None:
    """Explain files again, with all their attempts; a running watcher takes them up at once."""
    with _job_store(config, flags) as store:
        raise typer.Exit(_change(store, jobs, status, store.retry, "queued again"))


@app.command()
@_STORE_FLAGS
def forget(
    flags: Tables, jobs: _Jobs = None, status: _Status = None, config: options.Config = None
) -> None:
    """Delete files from the job store; their results stay."""
    with _job_store(config, flags) as store:
        raise typer.Exit(_change(store, jobs, status, store.forget, "forgotten"))


@contextmanager
def _job_store(config: Path | None, flags: Tables) -> Iterator[JobStore]:
    settings = load_settings(config, os.environ, flags)
    with closing(JobStore.open_existing(state_folder(settings))) as store:
        yield store


def _change(
    store: JobStore,
    words: list[str] | None,
    status: str | None,
    change: Callable[[JobRecord], bool],
    done: str,
) -> ExitCode:
    if bool(words) == bool(status):
        raise UsageError("name either jobs or a --status", hint="For example --status failed.")
    jobs = [store.find(word) for word in words] if words else store.jobs(_states(status))
    refused = [job for job in jobs if not change(job)]
    for job in refused:
        show_error(f"job {job.id} is {job.state.value}: {job.name}")
    count = len(jobs) - len(refused)
    output().print(f"{count} {'job' if count == 1 else 'jobs'} {done}")
    return ExitCode.SOME_FAILED if refused else ExitCode.OK


def _states(status: str | None) -> list[JobState]:
    words = [word.strip() for word in (status or "").split(",")] if status else []
    for word in words:
        if word not in list(JobState):
            raise UsageError(f"--status: {wrong_word(word, JobState)}")
    return [JobState(word) for word in words]


def _as_json(job: JobRecord) -> dict[str, Any]:
    identity = job.identity
    return {
        "job": job.id,
        "state": job.state.value,
        "file": job.name,
        "arrived": _moment(job.arrived),
        "started": _moment(job.started),
        "ended": _moment(job.ended),
        "not_before": _moment(job.not_before or None),
        "attempts": job.attempts,
        "crashes": job.crashes,
        "kills": job.kills,
        "owner": job.owner,
        "heartbeat": _moment(job.heartbeat),
        "size": None if identity is None else identity.stat.size,
        "fingerprint": None if identity is None else identity.fingerprint,
        "error": job.error,
        "hint": job.hint,
        "outputs": {kind: readable(path) for kind, path in job.outputs.items()},
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
