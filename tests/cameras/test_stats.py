"""What is told of a camera."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from streamcam.cameras.stats import CameraStats
from streamcam.sources.live import LiveSource, LiveStatus
from streamcam.types import STANDSTILL_SECONDS, CameraState, SourceInfo
from tests.clocks import ManualClock
from tests.sinks.live import live


def figures(state: CameraState, clock: ManualClock) -> CameraStats:
    source = SimpleNamespace(
        status=LiveStatus(state, since=clock.now),
        info=SourceInfo("door", 64, 48, live(0, 0.0).frame.time_base, live=True),
        decoded=0,
        corrupt=0,
    )
    return CameraStats("door", "rtsp://door", cast("LiveSource", source), clock)


def note(seen: CameraStats, clock: ManualClock, unchanged: float) -> None:
    result = live(0, 0.0)
    still = replace(result.frame, unchanged=unchanged, arrival=clock.now)
    seen.note(replace(result, frame=still), 0.1)


def test_a_picture_that_stands_still_is_no_live_one() -> None:
    clock = ManualClock()
    seen = figures(CameraState.LIVE, clock)
    note(seen, clock, STANDSTILL_SECONDS - 1)
    assert seen.status([]).state is CameraState.LIVE
    note(seen, clock, STANDSTILL_SECONDS + 2)
    status = seen.status([])
    assert status.state is CameraState.STALLED
    assert status.error == "door: its picture stands still for 12 s"
    assert status.since == clock.now - 12
    note(seen, clock, 0.0)
    assert (seen.status([]).state, seen.status([]).error) == (CameraState.LIVE, None)


def test_one_that_is_lost_says_so_whatever_it_showed_last() -> None:
    clock = ManualClock()
    seen = figures(CameraState.BACKING_OFF, clock)
    note(seen, clock, STANDSTILL_SECONDS + 2)
    assert seen.status([]).state is CameraState.BACKING_OFF


def test_the_age_of_a_frame_counts_from_when_it_last_showed_something_new() -> None:
    clock = ManualClock()
    seen = figures(CameraState.LIVE, clock)
    assert seen.status([]).last_frame_age is None
    note(seen, clock, 3.0)
    clock.now += 2
    assert seen.status([]).last_frame_age == 5.0
