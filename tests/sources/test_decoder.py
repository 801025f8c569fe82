from fractions import Fraction
from math import inf

import av
import pytest

from streamcam.sources.decoder import MAX_HELD, GopBuffer, TimestampRepair

MS = Fraction(1, 1000)


def packet(pts: int | None, *, key: bool = False, dts: int | None = None) -> av.Packet:
    made = av.Packet(b"x")
    made.pts, made.dts = pts, pts if dts is None else dts
    made.is_keyframe = key
    return made


def passed(packets: list[av.Packet], due: float) -> tuple[list[int | None], int]:
    """Return the times of the packets to decode, and how many were skipped."""
    gops, decoded, skipped = GopBuffer(), [], 0
    for each in packets:
        count, ready = gops.push(each, due)
        skipped += count
        decoded += ready
    decoded += gops.release()
    return [each.pts for each in decoded], skipped


def closed(*keys: int) -> list[av.Packet]:
    """Return groups of ten pictures beginning at these times."""
    return [packet(key + step, key=step == 0) for key in keys for step in range(10)]


def test_everything_is_decoded_when_everything_is_wanted() -> None:
    assert passed(closed(0, 10, 20), -inf) == (list(range(30)), 0)


@pytest.mark.parametrize(
    ("due", "first"), [(0, 0), (1, 0), (9, 0), (10, 10), (15, 10), (19.5, 10), (20, 20), (25, 20)]
)
def test_groups_before_what_is_due_are_skipped(due: float, first: int) -> None:
    assert passed(closed(0, 10, 20), due) == (list(range(first, 30)), first)


def test_the_last_group_is_always_decoded() -> None:
    assert passed(closed(0, 10), 1000) == (list(range(10, 20)), 10)


def test_intra_only_video_skips_single_frames() -> None:
    packets = [packet(time, key=True) for time in range(10)]
    assert passed(packets, 7) == ([7, 8, 9], 7)


def test_a_group_whose_pictures_others_refer_to_is_decoded() -> None:
    opened = [*closed(0), packet(12, key=True, dts=10), packet(10, dts=11), packet(11, dts=12)]
    assert passed([*opened, packet(13)], 12)[1] == 0


def test_without_times_nothing_is_skipped() -> None:
    packets = [packet(None, key=step % 5 == 0) for step in range(20)]
    assert passed(packets, 1000) == ([None] * 20, 0)


def test_no_more_is_held_than_allowed() -> None:
    gops = GopBuffer()
    packets = [packet(time, key=time == 0) for time in range(MAX_HELD + 1)]
    released = [len(gops.push(each, inf)[1]) for each in packets]
    assert released[-1] == MAX_HELD + 1
    assert sum(released[:-1]) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([5000, 5040], [5000, 5040]),
        ([-40, 0, 40], [-40, 0, 40]),
        ([None, None, None], [0, 40, 80]),
        ([0, 40, None, 120], [0, 40, 80, 120]),
        ([0, 40, 40, 80], [0, 40, 41, 80]),
        ([0, 40, 30, 80], [0, 40, 41, 80]),
        ([9000, 9040, 0, 40], [9000, 9040, 9080, 9120]),
        ([0, 40, 60_000, 60_040], [0, 40, 60_000, 60_040]),
    ],
)
def test_times_only_grow(given: list[int | None], expected: list[int]) -> None:
    repair = TimestampRepair(MS, Fraction(25))
    assert [repair.repaired(pts) for pts in given] == expected


def test_only_a_jump_back_shifts_for_good() -> None:
    repair = TimestampRepair(MS, None)
    for pts in (9000, 9000, 9040):
        repair.repaired(pts)
    assert not repair.shifted
    repair.repaired(0)
    assert repair.shifted
