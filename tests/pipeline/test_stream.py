import math

import pytest

from streamcam.pipeline.stream import Sampler


def selected(sampler: Sampler, times: list[float]) -> list[float]:
    return [time for index, time in enumerate(times) if sampler.wants(index, time)]


def test_constant_rate_is_thinned_to_the_grid() -> None:
    times = [index / 30 for index in range(31)]
    assert selected(Sampler(max_fps=5), times) == [times[i] for i in (0, 6, 12, 18, 24, 30)]


@pytest.mark.parametrize("rate", [10, 12.5, 23.976, 25, 29.97, 50, 59.94])
def test_mean_rate_holds_over_a_long_time(rate: float) -> None:
    times = [round(index / rate, 3) for index in range(int(600 * rate))]
    assert len(selected(Sampler(max_fps=5), times)) == pytest.approx(3000, abs=1)


def test_slower_sources_keep_every_frame() -> None:
    times = [0.0, 0.9, 2.3, 2.6, 7.0]
    assert selected(Sampler(max_fps=5), times) == times


def test_variable_rate_is_sampled_by_time_not_by_number() -> None:
    fast_then_slow = [i / 100 for i in range(100)] + [1 + i / 2 for i in range(10)]
    picked = selected(Sampler(max_fps=5), fast_then_slow)
    assert picked == [0.0, 0.2, 0.4, 0.6, 0.8] + [1 + i / 2 for i in range(10)]


def test_a_gap_is_not_made_up_for() -> None:
    assert selected(Sampler(max_fps=1), [0.0, 10.0, 10.1, 10.2, 11.0]) == [0.0, 10.0, 11.0]


def test_timestamps_rounded_to_milliseconds_are_not_early() -> None:
    times = [0.0, 0.033, 0.067, 0.1, 0.133, 0.167, 0.2, 0.2335]
    assert selected(Sampler(max_fps=15), times) == [0.0, 0.067, 0.133, 0.2]


def test_every_goes_by_number_and_ignores_the_rate() -> None:
    times = [index / 30 for index in range(10)]
    assert selected(Sampler(max_fps=1, every=3), times) == [times[i] for i in (0, 3, 6, 9)]


def test_start_and_end_bound_what_is_wanted() -> None:
    times = [index / 10 for index in range(100)]
    assert selected(Sampler(max_fps=1, start=2.5, end=5.5), times) == [2.5, 3.5, 4.5]
    assert selected(Sampler(every=10, start=2.5, end=5.0), times) == [3.0, 4.0]


def test_next_due_tells_what_need_not_be_decoded() -> None:
    sampler = Sampler(max_fps=0.5, start=4.0, end=7.0)
    assert sampler.next_due == pytest.approx(4.0, abs=2e-3)
    assert sampler.wants(40, 4.0)
    assert sampler.next_due == pytest.approx(6.0, abs=2e-3)
    assert not sampler.wants(70, 7.0)
    assert sampler.next_due == math.inf


@pytest.mark.parametrize("rate", [10, 30, 50])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_a_sampler_that_skips_goes_on_where_the_whole_would(rate: float, start: float) -> None:
    """From grid points on, in spite of rounding, and from between them."""
    times = [number / rate for number in range(120)]
    whole = selected(Sampler(max_fps=5, start=start), times)
    for first in range(0, 100, 7):
        sampler = Sampler(max_fps=5, start=start)
        skipped = next(due for due in [*whole, times[-1]] if due >= times[first])
        sampler.skip_to(skipped)
        assert selected(sampler, [time for time in times if time >= skipped]) == [
            time for time in whole if time >= skipped
        ]
    between = Sampler(max_fps=5)
    between.skip_to(0.7)
    assert selected(between, [0.7, 0.75, 0.8, 0.9, 1.0]) == [0.8, 1.0]
