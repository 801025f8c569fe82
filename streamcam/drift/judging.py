"""Judges windows by a baseline, one after another: whether a source has drifted, and since when."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamcam.drift.baseline_file import SourceBaseline, values_of
from streamcam.drift.movements import Movement, movements
from streamcam.drift.readings import Window
from streamcam.drift.scoring import (
    HISTORY_WINDOWS,
    Deviations,
    change_point,
    largest,
    least_known,
    scores,
)

ALARMS_PER_WEEK = 0.25
"""False alarms that are accepted of each source, on average: fewer take larger changes to alarm."""

COOLDOWN = 3600.0
"""Seconds for which all must be as usual before an alarm ends."""

_END_SCORE = 0.7
"""An alarm lasts while any score is above it: one that is near its bound is no news twice."""


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """What one window says.

    Attributes:
        begin: Of the window, in seconds.
        scores: By measure, in units of the alarm's bound, with the sign of the change; the larger
            of the charts. Empty where nothing is usual for that hour, and after a gap.
        known: Whether the baseline knows that hour.
        alarm: Whether the source has drifted, as far as is known by now.
    """

    begin: float
    scores: Mapping[str, float]
    known: bool
    alarm: bool

    @property
    def score(self) -> float:
        """The largest of all measures; from 1 on an alarm begins."""
        return largest(self.scores)


@dataclass(frozen=True, slots=True)
class Drift:
    """How a source differs from its baseline.

    Attributes:
        since: Seconds at which the change began, as far as the windows tell.
        score: The largest score.
        movements: What moved, the clearest first.
    """

    since: float
    score: float
    movements: Sequence[Movement]


class Judge:
    """Judges the windows of one source in the order of time.

    Args:
        alarms_per_week: False alarms that are accepted, on average.
        cooldown: Seconds that all must be as usual before an alarm ends.
    """

    def __init__(
        self, baseline: SourceBaseline, window: float, alarms_per_week: float, cooldown: float
    ) -> None:
        self._baseline = baseline
        self._cooldown = cooldown
        self._thresholds = baseline.thresholds(alarms_per_week)
        measures = sorted({name for chart in baseline.charts for name in chart.scales})
        self._deviations = Deviations(measures, window)
        self._windows: deque[Window] = deque(maxlen=HISTORY_WINDOWS)
        self._last: WindowVerdict | None = None
        self._loud = 0.0
        self.alarm = False

    def judge(self, window: Window) -> WindowVerdict:
        """Take a window, and return what it says."""
        usual = self._baseline.usual(window.begin)
        if usual is None:
            self._last = WindowVerdict(window.begin, {}, False, self.alarm)
            return self._last
        values = values_of(window, self._baseline.labels)
        self._deviations.add(window, usual.deviations(values, window.cells))
        self._windows.append(window)
        found = self._scores()
        self._decide(window.begin, largest(found))
        self._last = WindowVerdict(window.begin, found, True, self.alarm)
        return self._last

    def drift(self) -> Drift | None:
        """Return how the source differs now; None before anything could be said."""
        if self._last is None or not self._last.scores:
            return None
        ranked = sorted(self._last.scores.items(), key=lambda item: -abs(item[1]))
        times, deviations = self._deviations.series(ranked[0][0])
        since = float(times[change_point(deviations)])
        recent = [window for window in self._windows if window.begin >= since]
        return Drift(since, self._last.score, movements(ranked, recent, self._baseline))

    def _scores(self) -> dict[str, float]:
        joined: dict[str, float] = {}
        for chart, threshold in zip(self._baseline.charts, self._thresholds, strict=True):
            medians = self._deviations.medians(chart.windows, least_known(chart.windows))
            for name, value in scores(medians, chart.scales).items():
                joined[name] = max(joined.get(name, 0.0), value / threshold, key=abs)
        return joined

    def _decide(self, now: float, score: float) -> None:
        if score > (_END_SCORE if self.alarm else 1.0):
            self._loud = now
            self.alarm = True
        elif self.alarm and now - self._loud >= self._cooldown:
            self.alarm = False
            # A day's medians would remember what has passed, and alarm again.
            self._deviations.clear()
            self._windows.clear()
