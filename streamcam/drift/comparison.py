"""Compares results in a folder with a baseline: what `streamcam report` says of drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamcam.drift.baseline_file import Baseline, find_baselines, load_baseline
from streamcam.drift.groups import GroupWindows, Progress, find_groups, windows_of
from streamcam.drift.judging import Drift, Judge, WindowVerdict
from streamcam.drift.movements import sentence
from streamcam.errors import UsageError


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """How the results of a group compare with its baseline.

    Attributes:
        verdicts: Of each window, in the order of time.
        alarms: What each alarm said at its largest score; the first of them first.
        lasting: Whether the last alarm goes on at the end.
    """

    footage: GroupWindows
    verdicts: Sequence[WindowVerdict]
    alarms: Sequence[Drift]
    lasting: bool

    @property
    def name(self) -> str:
        return self.footage.group.name

    @property
    def unknown(self) -> int:
        """How many windows lie in hours that the baseline does not know."""
        return sum(not verdict.known for verdict in self.verdicts)

    def remarks(self) -> list[str]:
        """Return what is worth saying, a sentence each; nothing where all is as usual."""
        who = "the files" if self.name == "." else self.name
        found = [
            f"{who}: {sentence(alarm.movements)}, since {self.footage.place(alarm.since)}"
            for alarm in self.alarms
        ]
        if self.unknown:
            found.append(
                f"{who}: {self.unknown} of {len(self.verdicts)} windows lie in hours that the "
                "baseline does not know"
            )
        return found


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The comparisons of a folder's results with one baseline.

    Attributes:
        without: Names of the groups that the baseline does not know.
        alarms_per_week: False alarms that the bounds allow for each source.
    """

    baseline: Baseline
    sources: Sequence[SourceComparison]
    without: Sequence[str]
    alarms_per_week: float

    @property
    def drifted(self) -> list[SourceComparison]:
        return [one for one in self.sources if one.alarms]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values for `--json`."""
        return {
            "baseline": self.baseline.name,
            "alarms_per_week": self.alarms_per_week,
            "sources": {one.name: _source_json(one) for one in self.sources},
            "without": list(self.without),
        }


def chosen_baseline(folder: Path, wanted: str | None) -> Baseline | None:
    """Return the baseline that is meant: a name, a file, or None for the folder's newest.

    Raises:
        UsageError: There is none of that name, or the file is none.
    """
    known = find_baselines(folder)
    if wanted is None:
        return known[0] if known else None
    for one in known:
        if one.name == wanted:
            return one
    if wanted.endswith(".json"):
        return load_baseline(Path(wanted))
    names = ", ".join(one.name for one in known)
    raise UsageError(
        f"--baseline: {folder} has no baseline {wanted!r}",
        hint=f"There are: {names}."
        if names
        else "Learn one with: streamcam baseline OUT --name NAME",
    )


def compare(
    folder: Path,
    baseline: Baseline,
    alarms_per_week: float,
    cooldown: float,
    progress: Progress = lambda *_: None,
) -> DriftReport:
    """Compare the results in a folder with a baseline; the rest as in `Judge`."""
    groups = find_groups(folder)
    known = [group for group in groups if group.name in baseline.sources]
    sources = []
    for group in known:
        judge = Judge(baseline.sources[group.name], baseline.window, alarms_per_week, cooldown)
        sources.append(_compared(windows_of(group, baseline.window, progress=progress), judge))
    without = [group.name for group in groups if group not in known]
    return DriftReport(baseline, sources, without, alarms_per_week)


def _compared(footage: GroupWindows, judge: Judge) -> SourceComparison:
    verdicts: list[WindowVerdict] = []
    alarms: list[Drift] = []
    was_alarm = False
    for window in footage.windows:
        verdicts.append(judge.judge(window))
        drift = judge.drift() if judge.alarm else None
        if drift is not None and not was_alarm:
            alarms.append(drift)
        elif drift is not None and drift.score > alarms[-1].score:
            alarms[-1] = drift
        was_alarm = judge.alarm
    return SourceComparison(footage, verdicts, alarms, judge.alarm)


def _source_json(one: SourceComparison) -> dict[str, Any]:
    return {
        "windows": len(one.verdicts),
        "unknown_windows": one.unknown,
        "score": round(max((verdict.score for verdict in one.verdicts), default=0.0), 3),
        "lasting": one.lasting,
        "alarms": [
            {
                "since": round(alarm.since, 3),
                "where": one.footage.place(alarm.since),
                "score": round(alarm.score, 3),
                "text": sentence(alarm.movements),
                "movements": [movement.as_json() for movement in alarm.movements],
            }
            for alarm in one.alarms
        ],
    }
