"""Progress of a measurement: a bar on a terminal, or lines."""

from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streamcam.cli.progress import LineReporter
from streamcam.cli.terminal import errors, size

_LINES = 10
"""Progress lines of a measurement without a terminal."""


class StepReporter:
    """Shows a measurement's steps: a bar on a terminal, else (or with `lines`) lines."""

    def __init__(self, *, quiet: bool, lines: bool = False) -> None:
        has_bar = errors().is_terminal and not lines and not quiet
        self._lines = None if has_bar or quiet else LineReporter()
        self._bar = Progress(
            *(TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()),
            TimeRemainingColumn(),
            console=errors(),
            transient=True,
            disable=not has_bar,
        )
        self._task = self._bar.add_task("loading the model", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def step(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done, and the one that begins."""
        self._bar.update(self._task, description=name, completed=done, total=total)
        if self._lines and done * _LINES // total > (done - 1) * _LINES // total:
            self._lines.notice(f"{done * 100 // total} %: {name}")

    def fetch(self, name: str, done: int, total: int | None) -> None:
        text = f"fetching {name} {size(done)}"
        self._bar.update(self._task, description=text, completed=done, total=total)
        if self._lines:
            self._lines.download_progressed(name, done, total)
