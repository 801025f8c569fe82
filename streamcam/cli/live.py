"""`streamcam live`: explain one camera or stream."""

import os
import re
import threading
import time
from contextlib import ExitStack
from math import inf
from pathlib import PurePath
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import CameraPlan
from streamcam.cli import options
from streamcam.cli.progress import CameraTable, JsonReporter, LineReporter
from streamcam.cli.summaries import camera_summary
from streamcam.cli.terminal import errors, forcible, leave, show_error, stopped_by_signals
from streamcam.config import Settings, load_settings
from streamcam.config.camera_schema import CameraSettings
from streamcam.config.faults import Origins
from streamcam.errors import ExitCode, SourceUnavailableError, UsageError
from streamcam.malloc import limit_arenas
from streamcam.pipeline.engine_provider import require_one_device
from streamcam.urls import redacted_url

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_MAX_NAME = 64


@options.from_settings(
    *("camera", "live", "output.folder", "model", "-model.batch", "cam", "render"),
    *("tracking", "events", "output.video", "output.encoder"),
)
def live(
    source: Annotated[
        str,
        typer.Argument(
            help="A URL (rtsp, http, ...), a device such as /dev/video0, demo://street, or the "
            "name of a camera in the configuration.",
            metavar="SOURCE",
        ),
    ],
    flags: dict[str, dict[str, object]],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of FFmpeg for reading, KEY=VALUE; repeatable."),
    ] = None,
    reconnect: Annotated[
        bool,
        typer.Option("--reconnect", help="Reconnect, without a limit, after a connection is lost."),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--duration", min=0.1, help="End after this many seconds.")
    ] = None,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Explain a camera or stream as it comes, and record it in segments.

    Results are `out/NAME/YYYY-MM-DD/HH/MM-SS.mp4` and `.jsonl`, in UTC. A source that is lost ends
    it with exit code 69; with --reconnect it is connected again. --json prints the records.
    """
    changes = _changes(flags, option or [])
    settings = load_settings(config, os.environ, flags)
    require_one_device(settings)
    camera = _camera(source, settings, changes)
    limit_arenas()
    work = _Live(CameraPlan.of(camera, settings), settings, reconnect=reconnect)
    raise typer.Exit(work.run(seconds, quiet=quiet, json=json))


def _changes(flags: dict[str, dict[str, object]], words: list[str]) -> dict[str, object]:
    """Take the flags that override the camera's own settings."""
    own = flags.pop("camera")
    for key in set(flags["live"]) & set(CameraSettings.model_fields):
        own[key] = flags["live"].pop(key)
    shared = {**flags["model"], "model": flags["model"]["name"]}
    own |= {key: shared[key] for key in ("model", "weights", "labels", "confidence", "classes")}
    for word in words:
        if "=" not in word:
            raise UsageError(f"--option {word}: an option is KEY=VALUE")
    own["options"] = dict(word.split("=", 1) for word in words) or None
    return {key: value for key, value in own.items() if value is not None}


def _camera(source: str, settings: Settings, changes: dict[str, object]) -> CameraSettings:
    """Return the camera of that name in the configuration, or a new one."""
    if not source:
        raise UsageError("SOURCE: must not be empty")
    known = {camera.name: camera for camera in settings.camera}
    if source in known:
        given = known[source].model_dump(exclude_unset=True) | changes
    else:
        given = {"name": _name_of(source, changes), "url": source} | changes
    try:
        return CameraSettings.model_validate(given)
    except ValidationError as error:
        faults = [
            ErrorDetails({**each, "loc": ("camera", *each["loc"])}) for each in error.errors()
        ]
        raise Origins(flags={"camera": given}).error(faults) from None


def _name_of(source: str, changes: dict[str, object]) -> str:
    """Return a name for a source: host and path, or the name of the device or file."""
    if changes.get("format") == "lavfi":
        return re.split(r"[=,@]", source, maxsplit=1)[0] or "lavfi"
    shown = redacted_url(source)
    scheme, separator, rest = shown.partition("://")
    text = rest if separator else PurePath(scheme).stem
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")
    return name[:_MAX_NAME] or "camera"


class _Live:
    def __init__(self, plan: CameraPlan, settings: Settings, *, reconnect: bool) -> None:
        self._plan = plan
        self._settings = settings
        self._reconnect = reconnect
        self._stopping = threading.Event()
        self._began: float | None = None
        self._folder = settings.output.local_folder / plan.name

    def run(self, seconds: float | None, *, quiet: bool, json: bool) -> ExitCode:
        with (
            forcible("the running segment may lack its last second"),
            stopped_by_signals(self._stopping.set, "the recording is completed"),
        ):
            manager = self._explain(seconds or inf, quiet=quiet, json=json)
        code = self._report(manager, quiet=quiet)
        if manager.stuck:
            leave(code)
        return code

    def _explain(self, seconds: float, *, quiet: bool, json: bool) -> CameraManager:
        reporter = self._reporter(quiet=quiet, json=json)
        with ExitStack() as stack:
            manager = stack.enter_context(
                CameraManager(self._settings, reporter, reconnect=self._reconnect)
            )
            if isinstance(reporter, CameraTable):
                reporter.statuses = manager.statuses
                stack.enter_context(reporter)
            manager.reconcile([self._plan])
            self._wait(manager, seconds)
            manager.stop(_GRACE_SECONDS)
        return manager

    def _wait(self, manager: CameraManager, seconds: float) -> None:
        (camera,) = manager.cameras
        while camera.running and self._elapsed < seconds and not self._stopping.wait(_POLL_SECONDS):
            # The time to load the detector does not count.
            if camera.ready and self._began is None:
                self._began = time.monotonic()

    @property
    def _elapsed(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def _report(self, manager: CameraManager, *, quiet: bool) -> ExitCode:
        (camera,) = manager.cameras
        status = camera.status()
        if status.counts.decoded and not quiet:
            errors().print(camera_summary(status, self._elapsed), soft_wrap=True)
            if self._plan.record != "never" and self._folder.exists():
                errors().print(f"results in {self._folder}", soft_wrap=True)
        fault = camera.fault
        if fault is None and not status.counts.decoded and not self._stopping.is_set():
            fault = self._nothing_came()
        if fault is None:
            return ExitCode.OK
        show_error(fault.message, fault.hint)
        return fault.exit_code

    def _nothing_came(self) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self._plan.name}: no picture came before the end of --duration",
            hint="Is it there? To connect may take it some seconds.",
        )

    def _reporter(self, *, quiet: bool, json: bool) -> LineReporter:
        if json:
            return JsonReporter(self._stopping.set)
        if errors().is_terminal and not quiet:
            recorded = {
                "always": f"recorded in {self._folder}",
                "detections": f"what is detected is recorded in {self._folder}",
                "never": "nothing is recorded",
            }
            return CameraTable(f"{recorded[self._plan.record]}; Ctrl-C ends it")
        return LineReporter(quiet=quiet)
