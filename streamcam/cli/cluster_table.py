"""Progress of a run on a Ray cluster: one bar over all sources, and the rate of each node."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamcam.cli.progress import LineReporter, LiveTable
from streamcam.cli.terminal import duration, errors, styled, table
from streamcam.distributed.cluster_progress import ClusterProgress
from streamcam.types import Outcome

_LINE_SECONDS = 30.0
"""Between two lines of progress where there is no terminal."""

_BAR_WIDTH = 40

_MOST_NODES = 12
"""Nodes that are listed; a larger cluster's have a line for all the others."""


class ClusterReporter(LineReporter):
    """Prints a line for each source that ends, and now and then one for the whole run."""

    def __init__(self, count: int | None, *, quiet: bool) -> None:
        super().__init__(count, quiet=quiet)
        self._next_line = time.monotonic() + _LINE_SECONDS

    def cluster_progressed(self, progress: ClusterProgress) -> None:
        if not self._quiet and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self.notice(progress_line(progress))


class ClusterTable(LiveTable):
    """The bar and the nodes, drawn again and again; ended sources become lines above them."""

    def __init__(self, count: int | None) -> None:
        super().__init__(count)
        self._quiet = False
        self._progress = ClusterProgress({}, count, 0, (), None)

    def cluster_progressed(self, progress: ClusterProgress) -> None:
        self._progress = progress

    def _tables(self) -> list[Table]:
        progress = self._progress
        bar = table("", "", show_header=False)
        whole = ProgressBar(
            progress.total, progress.ended, width=_BAR_WIDTH, pulse=progress.total is None
        )
        bar.add_row(whole, _ended(progress))
        return [bar, self._nodes(progress)] if progress.nodes else [bar]

    def _nodes(self, progress: ClusterProgress) -> Table:
        numbers = ("workers", "sources", "per second", "speed")
        rows = table("node", *numbers, right=numbers, keep=("node",))
        for node in progress.nodes[:_MOST_NODES]:
            figures = (f"{node.frame_rate:.1f}", f"{node.speed:.1f}x")
            rows.add_row(node.name, str(node.workers), str(node.sources), *figures)
        others = len(progress.nodes) - _MOST_NODES
        if others > 0:
            rows.add_row(f"and {others} more")
        return rows

    def _note(self) -> Text:
        return styled(_rates(self._progress) or "workers are starting", "dim")


class ClusterObserver(Protocol):
    def cluster_progressed(self, progress: ClusterProgress) -> None: ...


@contextmanager
def cluster_reporter(
    count: int | None, *, quiet: bool, lines: bool = False
) -> Iterator[ClusterReporter | ClusterTable]:
    """Give the observer of a cluster's run that suits where stderr goes; `lines`: never a table."""
    if quiet or lines or not errors().is_terminal:
        yield ClusterReporter(count, quiet=quiet)
    else:
        with ClusterTable(count) as shown:
            yield shown


def progress_line(progress: ClusterProgress) -> str:
    """Return e.g. "120 of 500 sources, 2 failed; 84.0 frames/s, 17.0x; a 42.0/s, b 42.0/s"."""
    nodes = ", ".join(f"{node.name} {node.frame_rate:.1f}/s" for node in progress.nodes)
    return "; ".join(filter(None, (_ended(progress), _rates(progress), nodes)))


def _ended(progress: ClusterProgress) -> str:
    of = "" if progress.total is None else f" of {progress.total}"
    failed = progress.outcomes.get(Outcome.FAILED, 0)
    return f"{progress.ended}{of} sources" + (f", {failed} failed" if failed else "")


def _rates(progress: ClusterProgress) -> str:
    parts = []
    if progress.nodes:
        parts.append(f"{progress.frame_rate:.1f} frames/s, {progress.speed:.1f}x")
    if progress.remaining is not None:
        parts.append(f"{duration(progress.remaining)} left")
    if progress.starting:
        parts.append(f"{progress.starting} workers starting")
    return "; ".join(parts)
