"""What the reports of a run come to, however many there are."""

from collections import Counter
from dataclasses import replace

from streamcam.errors import ExitCode
from streamcam.types import JobReport, Outcome

MOST_KEPT = 1000
"""Reports that are held: more sources than people read about one by one."""


class ReportTally:
    """What reports come to, in bounded memory.

    Attributes:
        counts: Sources by outcome.
        kept: The first `MOST_KEPT` reports; of later ones those of failures, as many again.
    """

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.kept: list[JobReport] = []
        self._codes: set[ExitCode] = set()

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, report: JobReport) -> None:
        self.counts[report.outcome] += 1
        self._codes.add(ExitCode(report.exit_code))
        failed = report.outcome is Outcome.FAILED
        if len(self.kept) < (2 * MOST_KEPT if failed else MOST_KEPT):
            # An error holds the frames of the calls that it came through.
            self.kept.append(replace(report, cause=None))

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of all reports together.

        An internal fault outweighs everything; the code that all inputs share is passed on;
        otherwise some inputs failed.
        """
        if ExitCode.INTERNAL in self._codes:
            return ExitCode.INTERNAL
        if len(self._codes) == 1:
            return next(iter(self._codes))
        return ExitCode.SOME_FAILED if self._codes else ExitCode.OK
