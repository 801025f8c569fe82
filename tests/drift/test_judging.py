"""Learning from quiet days, and judging days by that: quiet ones, and ones with a change."""

import re
from collections.abc import Sequence

import pytest

from streamcam.drift.baseline_file import SourceBaseline
from streamcam.drift.judging import Drift, Judge
from streamcam.drift.learning import learn
from streamcam.drift.movements import sentence
from streamcam.drift.readings import Window
from tests.drift.simulated import DAY_WINDOWS, LENGTH, MONDAY, quiet_days

LATER = MONDAY + 14 * 86400
CHANGED = DAY_WINDOWS + 80
"""The window in which the changes begin: 13:20 of the second day."""


@pytest.fixture(scope="module")
def learned() -> SourceBaseline:
    made = learn(quiet_days(10, 1), LENGTH, by_hour=True)
    assert made is not None
    return made


def alarms(learned: SourceBaseline, found: Sequence[Window]) -> list[tuple[float, Drift]]:
    """Begin of the window of each alarm's begin, and what it says."""
    judge, was, told = Judge(learned, LENGTH, 0.25, 3600), False, []
    for window in found:
        judge.judge(window)
        if judge.alarm and not was:
            drift = judge.drift()
            assert drift is not None
            told.append((window.begin, drift))
        was = judge.alarm
    return told


def test_what_is_learned(learned: SourceBaseline) -> None:
    assert learned.labels == ("person",)
    assert (learned.windows, learned.block, len(learned.hours)) == (1440, 86400.0, 24)
    assert learned.is_calibrated
    assert [chart.windows for chart in learned.charts] == [3, 144]
    noon, night = (learned.hours[hour].spreads["count:person"].quantiles[2] for hour in (12, 0))
    assert noon > 1.5 * night
    fewer = learned.thresholds(0.05)
    assert all(strict > usual for strict, usual in zip(fewer, learned.thresholds(1), strict=True))


def test_quiet_weeks_are_quiet(learned: SourceBaseline) -> None:
    told = [alarms(learned, quiet_days(7, seed, begin=LATER)) for seed in range(2, 8)]
    assert sum(map(len, told)) <= 3


def test_a_camera_that_turns(learned: SourceBaseline) -> None:
    days = quiet_days(3, 9, begin=LATER, shift=lambda place: 4 if place >= CHANGED else 0)
    ((begin, drift),) = alarms(learned, days)
    change = LATER + CHANGED * LENGTH
    assert change <= begin <= change + 3 * LENGTH
    assert drift.since == change
    assert sentence(drift.movements) == "heat has moved from the left to the right of the picture"


def test_heat_that_leaves_its_class(learned: SourceBaseline) -> None:
    def change(place: int, means: dict[str, float]) -> None:
        if place >= CHANGED:
            means["heat:person"] -= 0.3
            means["heat_off_boxes"] += 0.3

    ((_, drift),) = alarms(learned, quiet_days(2, 9, begin=LATER, change=change))
    text = sentence(drift.movements)
    said = r"heat has moved from person \(\d+%, now 1\d%\) to outside all boxes \(\d+%, now 6"
    assert re.match(said, text)


def test_classes_that_were_never_there(learned: SourceBaseline) -> None:
    def change(place: int, means: dict[str, float]) -> None:
        if place >= CHANGED:
            means["count:bicycle"] = means.pop("count:person")
            means["heat:bicycle"] = means.pop("heat:person")

    ((_, drift),) = alarms(learned, quiet_days(2, 9, begin=LATER, change=change))
    text = sentence(drift.movements)
    assert "person in a frame fell from" in text
    assert "objects of other classes in a frame rose from 0.0 to" in text


def test_a_small_change_that_stays_is_told_within_two_days(learned: SourceBaseline) -> None:
    def change(place: int, means: dict[str, float]) -> None:
        if place >= CHANGED:
            means["explained_variance"] += 0.05

    ((begin, drift), *_) = alarms(learned, quiet_days(4, 9, begin=LATER, change=change))
    assert begin - (LATER + CHANGED * LENGTH) < 2 * 86400
    assert sentence(drift.movements).startswith("explained variance rose from 50% to 5")


def test_an_alarm_ends_when_all_is_as_usual_again(learned: SourceBaseline) -> None:
    ends = CHANGED + 40
    days = quiet_days(4, 9, begin=LATER, shift=lambda place: 4 if CHANGED <= place < ends else 0)
    judge = Judge(learned, LENGTH, 0.25, 3600)
    on = [judge.judge(window).alarm for window in days]
    assert on[CHANGED + 2]
    assert on[ends]
    assert not any(on[ends + 10 :])


def test_hours_that_were_not_learned_are_not_judged() -> None:
    mornings = [window for window in quiet_days(10, 1) if window.begin % 86400 < 6 * 3600]
    made = learn(mornings, LENGTH, by_hour=True)
    assert made is not None
    judge = Judge(made, LENGTH, 0.25, 3600)
    verdicts = [judge.judge(window) for window in quiet_days(1, 2, begin=LATER)]
    assert [verdict.known for verdict in verdicts] == [True] * 36 + [False] * 108
    assert not judge.alarm


def test_too_few_windows_make_no_baseline() -> None:
    assert learn([], LENGTH, by_hour=True) is None
    assert learn(quiet_days(1, 1)[:18], LENGTH, by_hour=True) is None


def test_a_day_is_judged_hour_by_hour() -> None:
    made = learn(quiet_days(1, 1), LENGTH, by_hour=True)
    assert made is not None
    assert (made.block, made.is_calibrated, len(made.charts)) == (3600.0, False, 1)
