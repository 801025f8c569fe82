"""Rates, latencies and the status of a camera."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from streamcam.cameras.sink_workers import LiveDelivery
from streamcam.cameras.stats import CameraStats, LatencyMeter, RateMeter
from streamcam.observer import Observer
from streamcam.pipeline.stream import Stream
from streamcam.render import annotate
from streamcam.sinks.pictures import PreviewSink
from streamcam.sources.live import LiveSource, LiveStatus
from streamcam.types import STANDSTILL_SECONDS, CameraState, SourceInfo
from tests.clocks import ManualClock
from tests.sinks.live import live


def test_the_rate_over_the_last_seconds() -> None:
    meter = RateMeter()
    assert meter.rate == 0
    for quarter in range(100):
        meter.note(round(quarter * 2.5), 50 + quarter / 4)
    assert meter.rate == pytest.approx(10.0, rel=0.03)


def test_a_change_shows_within_seconds_and_silence_is_nought() -> None:
    meter = RateMeter()
    for quarter in range(40):
        meter.note(10 * quarter, quarter / 4)
    for quarter in range(40, 52):
        meter.note(390, quarter / 4)
    assert 0 < meter.rate < 40
    for quarter in range(52, 100):
        meter.note(390, quarter / 4)
    assert meter.rate == 0


def test_a_long_silence_between_two_notes() -> None:
    meter = RateMeter()
    meter.note(0, 0.0)
    meter.note(500, 1000.0)
    assert meter.rate == 0.0
    meter.note(505, 1001.0)
    assert meter.rate == 5.0


def test_two_notes_at_one_moment() -> None:
    meter = RateMeter()
    meter.note(0, 1.0)
    meter.note(3, 1.0)
    assert meter.rate == 0.0


def test_memory_stays_bounded() -> None:
    rate, latency = RateMeter(), LatencyMeter()
    for thousandth in range(20_000):
        rate.note(thousandth, thousandth / 1000)
        latency.note(0.1, 0.0)
    assert len(rate._counts) <= 5001
    assert len(latency._seconds) == len(latency._waited) == 300


def test_percentiles_of_the_latency() -> None:
    meter = LatencyMeter()
    assert meter.latency is None
    for percent in range(101):
        meter.note(percent / 100, 0.08)
    latency = meter.latency
    assert latency is not None
    assert (latency.p50, latency.p95, latency.decoder) == pytest.approx((0.5, 0.95, 0.08))
    for _ in range(300):
        meter.note(0.2, 0.0)
    assert meter.latency is not None
    assert meter.latency.p95 == pytest.approx(0.2), "what is long ago is forgotten"


def source_of(state: CameraState, clock: ManualClock) -> LiveSource:
    source = SimpleNamespace(
        status=LiveStatus(state, since=clock.now),
        info=SourceInfo("door", 64, 48, live(0, 0.0).frame.time_base, live=True),
        decoded=0,
        corrupt=0,
    )
    return cast("LiveSource", source)


def stats_of(state: CameraState, clock: ManualClock) -> CameraStats:
    return CameraStats("door", "rtsp://door", source_of(state, clock), clock)


def note(stats: CameraStats, clock: ManualClock, unchanged: float) -> None:
    result = live(0, 0.0)
    still = replace(result.frame, unchanged=unchanged, arrival=clock.now)
    stats.note(replace(result, frame=still), 0.1)


def test_a_picture_that_stands_still_is_no_live_one() -> None:
    clock = ManualClock()
    stats = stats_of(CameraState.LIVE, clock)
    note(stats, clock, STANDSTILL_SECONDS - 1)
    assert stats.status([]).state is CameraState.LIVE
    note(stats, clock, STANDSTILL_SECONDS + 2)
    status = stats.status([])
    assert status.state is CameraState.STALLED
    assert status.error == "door: its picture stands still for 12 s"
    assert status.since == clock.now - 12
    note(stats, clock, 0.0)
    assert (stats.status([]).state, stats.status([]).error) == (CameraState.LIVE, None)


def test_one_that_is_lost_says_so_whatever_it_showed_last() -> None:
    clock = ManualClock()
    stats = stats_of(CameraState.BACKING_OFF, clock)
    note(stats, clock, STANDSTILL_SECONDS + 2)
    assert stats.status([]).state is CameraState.BACKING_OFF


def test_the_age_of_a_frame_counts_from_when_it_last_showed_something_new() -> None:
    clock = ManualClock()
    stats = stats_of(CameraState.LIVE, clock)
    assert stats.status([]).last_frame_age is None
    note(stats, clock, 3.0)
    clock.now += 2
    assert stats.status([]).last_frame_age == 5.0


def test_frames_without_a_map_are_counted_over_all_runs() -> None:
    clock = ManualClock()
    stats = stats_of(CameraState.LIVE, clock)
    result = live(0, 0.0)
    broken = replace(result, explanation=replace(result.explanation, has_map=False))
    source = source_of(CameraState.LIVE, clock)
    stream = cast("Stream", SimpleNamespace(received=3, dropped={}))
    for _ in range(2):
        preview = PreviewSink(annotate)
        delivery = LiveDelivery(
            lambda result: result, annotate, [], preview, lambda *_: None, Observer(), clock
        )
        stats.begin(source, stream, delivery)
        for item in (result, broken, broken):
            delivery.write(item)
    counts = stats.status([]).counts
    assert (counts.explained, counts.without_map) == (6, 4)
