"""What a terminal shows of files at work."""

import io
from dataclasses import replace
from fractions import Fraction

import pytest
from rich.console import Console

from streamcam.cli import progress
from streamcam.events.event import EventChange, EventStage, Suspicion
from streamcam.types import JobReport, Outcome, SourceInfo
from tests.events.test_event_store import event


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100, no_color=True, highlight=False)
    monkeypatch.setattr(progress, "errors", lambda: console)
    return text


def info(name: str) -> SourceInfo:
    return SourceInfo(name, 64, 48, Fraction(1, 1000), duration=10.0)


def failed(name: str) -> JobReport:
    return JobReport(name, Outcome.FAILED, error=f"{name}: broken")


def test_of_a_known_number_ended_files_become_lines(terminal: io.StringIO) -> None:
    with progress.file_reporter(2, quiet=False) as reporter:
        assert isinstance(reporter, progress.FileTable)
        reporter.file_started(info("a.mp4"))
        reporter.file_ended(JobReport("a.mp4", Outcome.DONE))
        reporter.file_started(info("b.mp4"))
        reporter._live.refresh()
    text = terminal.getvalue()
    assert "[1/2] a.mp4: done" in text
    assert "starting" in text
    assert "1 of 2 sources ended" in text


def test_where_more_may_come_ended_files_stay_in_the_table_and_failed_ones_on_the_screen(
    terminal: io.StringIO,
) -> None:
    with progress.file_reporter(None, quiet=False) as reporter:
        assert isinstance(reporter, progress.FileTable)
        reporter.file_ended(JobReport("a.mp4", Outcome.DONE))
        reporter.download_progressed("nano", 1000, 2000)
        reporter.file_ended(failed("b.mp4"))
        reporter._live.refresh()
    text = terminal.getvalue()
    assert "b.mp4: failed: broken" in text
    assert "watching; 1 done, 1 failed" in text
    assert "fetching nano: 1.0 kB of 2.0 kB" in text
    assert "\na.mp4: done" not in text


def test_quiet_prints_failures_only(terminal: io.StringIO) -> None:
    with progress.file_reporter(2, quiet=True) as reporter:
        reporter.file_started(info("a.mp4"))
        reporter.file_ended(JobReport("a.mp4", Outcome.DONE))
        reporter.file_ended(failed("b.mp4"))
    assert terminal.getvalue() == "b.mp4: failed: broken\n"


def test_the_end_of_an_event_is_a_line(terminal: io.StringIO) -> None:
    made = event(0, "yard", "person", ("door", "gate"), Suspicion.OFF_OBJECT)
    after = replace(made.begin, time=made.begin.time + 12.4)
    for quiet in (False, True):
        reporter = progress.LineReporter(quiet=quiet)
        for stage in EventStage:
            reporter.event_changed(EventChange(stage, replace(made, end=after)))
    (line,) = terminal.getvalue().splitlines()
    assert line == "yard: person for 12.4 s in door, gate, lift 1.5 (off-object)"
