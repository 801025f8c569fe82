"""`streamcam serve`: the service that runs all cameras and folders of a configuration."""

import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cameras.plan import CameraPlan
from streamcam.cli import options
from streamcam.cli.logs import LogFormat, RateLimitHandler, configure_logging
from streamcam.cli.terminal import errors, forcible, leave, stopped_by_signals
from streamcam.config import Settings
from streamcam.config.config_file import ConfigFile
from streamcam.config.fields import Tables
from streamcam.errors import ExitCode, StreamcamError
from streamcam.service.health import Notifier
from streamcam.urls import Redactor

_log = logging.getLogger(__name__)

_STOPPING = "current segments and files are completed"


@options.from_settings("output.folder", "model.device")
def serve(
    flags: Tables,
    config: options.Config = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="`text` or `json`, one line per event.")
    ] = LogFormat.TEXT,
) -> None:
    """Run all cameras and watched folders of the configuration, with health, metrics and a page.

    SIGHUP reads the configuration again: cameras and folders are added, removed and changed, and
    the others go on. The live page is at http://127.0.0.1:8719 by default.
    """
    raise typer.Exit(_Service(config, flags, log_format).run())


class _Service:
    def __init__(self, config: Path | None, flags: Tables, log_format: LogFormat) -> None:
        self._config_file = ConfigFile(config, os.environ, flags)
        self._log_format = log_format
        self._log_handler: RateLimitHandler | None = None
        self._urls: set[str] = set()
        self._secrets: set[str] = set()

    def run(self) -> ExitCode:
        # The configuration is read now anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Imported here because it brings the web framework.
        from streamcam.service.supervisor import Supervisor

        supervisor = Supervisor(
            self._load, self._config_file, Notifier.from_environment(), on_iteration=self._turn
        )
        signal.signal(signal.SIGHUP, lambda *_: supervisor.reload())
        code = ExitCode.OK
        message = _STOPPING if errors().is_terminal else None
        try:
            with (
                forcible("unfinished files are recovered at the next start"),
                stopped_by_signals(supervisor.stop, message),
            ):
                supervisor.run()
        except StreamcamError as error:
            # In the log, for collectors.
            _log.critical(" ".join(filter(None, (f"{error}.", error.hint))), exc_info=error)
            code = error.exit_code
        if supervisor.stuck:
            leave(code)
        return code

    def _load(self) -> Settings:
        settings = self._config_file.load()
        # Secrets of removed cameras stay hidden: these cameras run until they are stopped.
        for camera in settings.camera:
            self._urls |= {camera.url, camera.publish or ""}
            self._secrets |= CameraPlan.of(camera, settings).address.secrets
        level = logging.getLogger("streamcam").level
        redactor = Redactor(*self._urls, secrets=self._secrets)
        self._log_handler = configure_logging(min(level, logging.INFO), self._log_format, redactor)
        return settings

    def _turn(self) -> None:
        if self._log_handler is not None:
            self._log_handler.flush_due()
