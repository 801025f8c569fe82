"""The part of a report's page that tells of drift: a banner, and each source's score over time."""

from collections.abc import Sequence

from streamcam.drift.comparison import DriftReport, SourceComparison
from streamcam.drift.groups import moment_text
from streamcam.drift.movements import sentence
from streamcam.html_page import bullets, escaped

_WIDTH, _HEIGHT = 960, 90
_HIGHEST = 3.0
"""Scores beyond it are drawn at the chart's edge."""
_POINTS = 480
"""Of a longer chart each point is the largest of several windows."""


def section(report: DriftReport) -> str:
    """Return the section as HTML."""
    return "".join(
        (
            "<h2>Drift</h2>",
            _banner(report),
            f"<p class=none>{escaped(_basis(report))}</p>",
            *(_chart(one) for one in report.sources),
        )
    )


def summary(report: DriftReport) -> str:
    """Return in a sentence whether anything differs from the baseline."""
    if not report.sources:
        names = ", ".join(report.baseline.sources)
        return f"nothing here is in the baseline {report.baseline.name}, which knows: {names}"
    if not report.drifted:
        return f"all is as usual by the baseline {report.baseline.name}"
    count = len(report.drifted)
    return (
        f"{count} of {len(report.sources)} sources "
        f"{'differs' if count == 1 else 'differ'} from the baseline {report.baseline.name}"
    )


def _basis(report: DriftReport) -> str:
    first = min((one.first for one in report.baseline.sources.values()), default=0.0)
    by_hour = any(one.by_hour for one in report.baseline.sources.values())
    begin = f", learned from {moment_text(first)} on" if by_hour else ""
    without = f" Not in it: {', '.join(report.without)}." if report.without else ""
    return (
        f"Baseline {report.baseline.name}{begin}; windows of "
        f"{report.baseline.window / 60:g} min. From 1 on a score is an alarm: by chance "
        f"{report.alarms_per_week:g} a week for each source.{without}"
    )


def _banner(report: DriftReport) -> str:
    kind = "drifted" if report.drifted else "steady"
    remarks = [remark for one in report.sources for remark in one.remarks()]
    listed = bullets(remarks) if remarks else ""
    return (
        f"<div class='banner {kind}'><b>{escaped(summary(report).capitalize())}.</b>{listed}</div>"
    )


def _chart(one: SourceComparison) -> str:
    heading = f"<h3>{escaped(one.name)}</h3>"
    if not one.verdicts:
        return f"{heading}<p class=none>No windows of enough frames.</p>"
    points = _thinned([verdict.score for verdict in one.verdicts])
    step = _WIDTH / max(1, len(points) - 1)
    line = " ".join(f"{place * step:.1f},{_level(score):.1f}" for place, score in enumerate(points))
    begin, end = (one.footage.place(one.verdicts[at].begin) for at in (0, -1))
    worst = max(one.alarms, key=lambda alarm: alarm.score, default=None)
    title = "as usual" if worst is None else sentence(worst.movements)
    return (
        f"{heading}<p>{escaped(f'{begin} to {end}')}</p>"
        f"<svg class=score viewBox='0 0 {_WIDTH} {_HEIGHT}' preserveAspectRatio=none role=img>"
        f"<title>{escaped(title)}</title>"
        f"<line class=bound x1=0 x2={_WIDTH} y1={_level(1.0):.1f} y2={_level(1.0):.1f} />"
        f"<polyline points='{line}' /></svg>"
    )


def _level(score: float) -> float:
    return _HEIGHT - 2 - min(score, _HIGHEST) / _HIGHEST * (_HEIGHT - 4)


def _thinned(values: Sequence[float]) -> list[float]:
    each = -(-len(values) // _POINTS)
    return [max(values[at : at + each]) for at in range(0, len(values), each)]
