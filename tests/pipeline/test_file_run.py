"""The jobs of a run: their order, and that no more is held than is needed."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamcam.config import Settings
from streamcam.errors import ExitCode, WeightsError
from streamcam.observer import Observer
from streamcam.pipeline.file_run import Run, in_order
from streamcam.pipeline.report_tally import MOST_KEPT, ReportTally
from streamcam.sources.inputs import Entry
from streamcam.types import JobReport, Outcome
from tests.media import numbered, write_video


def settings(folder: Path, **model: str) -> Settings:
    return Settings.model_validate({"output": {"folder": folder, "workers": 3}, "model": model})


def missing(numbers: Iterator[int], taken: list[int]) -> Iterator[Entry]:
    """Yield entries that fail at once, without an engine, and note how many were asked for."""
    for number in numbers:
        taken.append(number)
        yield Entry(f"missing-{number}.mp4", f"missing-{number}")


def numbers_of(reports: list[JobReport]) -> list[str]:
    return [report.source.removeprefix("missing-").removesuffix(".mp4") for report in reports]


def test_entries_are_taken_as_they_are_needed_and_reported_in_order(tmp_path: Path) -> None:
    taken: list[int] = []
    reports = Run(settings(tmp_path), Observer()).explain(missing(itertools.count(), taken))
    first = list(itertools.islice(reports, 50))
    reports.close()  # type: ignore[attr-defined]
    assert numbers_of(first) == [str(number) for number in range(50)]
    assert len(taken) < 70


def test_what_follows_a_stop_is_reported_as_stopped(tmp_path: Path) -> None:
    run = Run(settings(tmp_path), Observer())
    reports = run.explain(missing(iter(range(30)), []))
    before = next(reports)
    run.stop()
    after = list(reports)
    assert before.outcome is Outcome.FAILED
    assert len(after) == 29
    assert {report.outcome for report in after[10:]} == {Outcome.STOPPED}


def test_an_engine_that_cannot_be_built_ends_the_run(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", numbered(2)))
    wrong = settings(tmp_path / "out", name="nano", weights=str(tmp_path / "none.pt"))
    run = Run(wrong, Observer())
    with pytest.raises(WeightsError):
        list(run.explain(Entry(clip, f"clip-{number}") for number in range(20)))


def test_reports_wait_for_an_earlier_one_but_not_without_end() -> None:
    late = [(0, report("0"))]
    others = [(number, report(str(number))) for number in range(1, MOST_KEPT + 10)]
    given = [one.source for one in in_order(iter(others[:3] + late + others[3:5]))]
    assert given == ["0", "1", "2", "3", "4", "5"]
    given = [one.source for one in in_order(iter(others + late))]
    assert given == [*(str(number) for number in range(1, MOST_KEPT + 10)), "0"]


def test_a_tally_keeps_the_first_reports_and_further_failures() -> None:
    tally = ReportTally()
    for number in range(3 * MOST_KEPT):
        tally.add(report(str(number), failed=number % 3 == 0))
    assert tally.counts == {Outcome.DONE: 2 * MOST_KEPT, Outcome.FAILED: MOST_KEPT}
    assert MOST_KEPT < len(tally.kept) < 2 * MOST_KEPT
    assert all(one.outcome is Outcome.FAILED for one in tally.kept[MOST_KEPT:])
    assert tally.exit_code is ExitCode.SOME_FAILED


@pytest.mark.parametrize(
    ("codes", "together"),
    [
        ([], ExitCode.OK),
        ([0, 0], ExitCode.OK),
        ([0, 69], ExitCode.SOME_FAILED),
        ([69, 69], ExitCode.UNAVAILABLE),
        ([0, 70, 69], ExitCode.INTERNAL),
    ],
)
def test_the_exit_code_is_that_of_all_together(codes: list[int], together: ExitCode) -> None:
    tally = ReportTally()
    for code in codes:
        tally.add(JobReport("clip", Outcome.FAILED, exit_code=code))
    assert tally.exit_code is together


def report(source: str, *, failed: bool = False) -> JobReport:
    outcome = Outcome.FAILED if failed else Outcome.DONE
    return JobReport(source, outcome, exit_code=1 if failed else 0)
