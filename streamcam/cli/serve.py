"""`streamcam serve`: the service that runs all cameras and folders of a configuration."""

import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from streamcam.cli import options
from streamcam.cli.logs import LogFormat, configure_logging
from streamcam.cli.repeats import Repeats
from streamcam.cli.signals import FORCED, stopped_by_signals
from streamcam.cli.terminal import show_error
from streamcam.config import Settings, load_settings
from streamcam.config.loading import Tables
from streamcam.errors import ExitCode
from streamcam.redaction import Redactor
from streamcam.service.notify import Notifier


def serve(
    config: options.Config = None,
    output: options.Output = None,
    device: options.Device = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="`text` or `json`, one line a fact.")
    ] = LogFormat.TEXT,
) -> None:
    """Run all cameras and watched folders of the configuration, with health, metrics and a page.

    SIGHUP reads the configuration again: cameras and folders are added, removed and changed, and
    the others go on. The live page is at http://127.0.0.1:8719 by default.
    """
    raise typer.Exit(_Service(config, output, device, log_format).run())


class _Service:
    """The process around the supervisor: signals and the log."""

    def __init__(
        self,
        config: Path | None,
        output: Path | None,
        device: str | None,
        log_format: LogFormat,
    ) -> None:
        self._config = config
        self._flags: Tables = {"output": {"folder": output}, "model": {"device": device}}
        self._log_format = log_format
        self._repeats: Repeats | None = None

    def run(self) -> ExitCode:
        """Serve until a signal says otherwise."""
        # Imported here because it brings the web framework.
        from streamcam.service.supervisor import Supervisor

        supervisor = Supervisor(self._load, Notifier.from_environment(), turn=self._turn)
        signal.signal(signal.SIGHUP, lambda *_: supervisor.reload())
        try:
            with stopped_by_signals(supervisor.stop, "segments and files in hand are completed"):
                supervisor.run()
        except KeyboardInterrupt:
            show_error("forced to stop; what was in hand is mended at the next start")
            logging.shutdown()
            os._exit(FORCED)
        if supervisor.stuck:
            # A thread that hangs in native code must not keep the process from ending.
            logging.shutdown()
            os._exit(ExitCode.OK)
        return ExitCode.OK

    def _load(self) -> Settings:
        settings = load_settings(self._config, os.environ, self._flags)
        level = logging.getLogger("streamcam").level
        urls = [camera.url for camera in settings.camera]
        published = [camera.publish for camera in settings.camera if camera.publish]
        self._repeats = configure_logging(
            min(level, logging.INFO), self._log_format, Redactor(*urls, *published)
        )
        return settings

    def _turn(self) -> None:
        if self._repeats is not None:
            self._repeats.turn()
