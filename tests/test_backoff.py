import pytest

from streamcam.backoff import Backoff


def test_pauses_double_up_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(first=0.5, longest=3.0, chance=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.5


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 5.0), (0.5, 7.5), (1.0, 10.0)])
def test_chance_shortens_a_pause_by_up_to_a_half(chance: float, pause: float) -> None:
    assert Backoff(first=10.0, chance=lambda: chance).next() == pause


def test_two_do_not_keep_in_step() -> None:
    first, second = Backoff(), Backoff()
    assert [first.next() for _ in range(8)] != [second.next() for _ in range(8)]
