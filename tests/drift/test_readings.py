"""Readings of records and their means over windows."""

import numpy as np
import pytest

from streamcam.drift.readings import Reading, WindowMaker, read, windows
from streamcam.sinks.coarse_map import encoded
from tests.report.records import BEGIN, detection, record


def test_a_record_is_read() -> None:
    cells = np.zeros((8, 8), np.uint8)
    cells[0, 0], cells[7, 7] = 30, 10
    one = record(10, detection(), detection("car", confidence=0.6, lift=1.0), live=True)
    one["cam"]["coarse_map"] = encoded(cells)
    found = read(one)
    assert found.time == BEGIN.timestamp() + 2
    assert found.counts == {"person": 1, "car": 1}
    assert found.values["confidence"] == pytest.approx(0.7)
    assert found.values["lift"] == pytest.approx((np.log2(5) + 1) / 2)
    assert found.values["heat:person"] == pytest.approx(0.2)
    assert found.values["heat_off_boxes"] == pytest.approx(0.6)
    assert found.cells is not None
    assert (found.cells[0, 0], found.cells[7, 7]) == (0.75, 0.25)


def test_records_of_earlier_versions_have_no_cells() -> None:
    found = read(record(0))
    assert found.cells is None
    assert found.values == {"explained_variance": 0.5}
    assert found.time == 0.0


def test_windows_are_means_and_begin_at_multiples_of_their_length() -> None:
    readings = [
        Reading(100.0 + at, {"flicker": float(at)}, {"person": at % 2}, None) for at in range(25)
    ]
    first, second, third = windows(readings, 10.0)
    assert [each.begin for each in (first, second, third)] == [100.0, 110.0, 120.0]
    assert [each.frames for each in (first, second, third)] == [10, 10, 5]
    assert second.means == {"flicker": 14.5, "count:person": 0.5}


def test_a_window_of_few_frames_says_nothing() -> None:
    maker = WindowMaker(10.0)
    for at in range(4):
        assert maker.add(Reading(float(at), {"flicker": 0.1}, {}, None)) is None
    assert maker.end() is None


def test_a_measure_of_few_frames_is_left_out() -> None:
    readings = [Reading(float(at), {"lift": 1.0} if at < 4 else {}, {}, None) for at in range(9)]
    (only,) = windows(readings, 10.0)
    assert only.means == {}
