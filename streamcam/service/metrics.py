"""Metrics for Prometheus: what observers count, and the service's status when they are read."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from streamcam.errors import StreamcamError
from streamcam.service.service_status import ServiceStatus
from streamcam.types import CameraState, CameraStatus

FILES = "files"
"""The label `source` of all files: one label per file would grow without bound."""

# From a small batch on a GPU (a millisecond) to a large model on a CPU.
_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LATENCY_BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class _Sum:
    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value


class Metrics:
    """Counts frames; from any thread. A source is a camera's name, or `FILES`; never a URL."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._stages = Histogram(
            "streamcam_stage_seconds",
            "Time that a frame, in the engine a batch, spends in a stage.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self._registry,
        )
        self._latency = Histogram(
            "streamcam_e2e_latency_seconds",
            "From a live frame's data coming in to its result going out.",
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._lock = threading.Lock()
        self._frames: Counter[str] = Counter()
        self._events: Counter[tuple[str, str]] = Counter()
        self._suspects: Counter[str] = Counter()
        self._lifts: dict[str, _Sum] = {}
        self._flickers: dict[str, _Sum] = {}

    def stage(self, name: str, seconds: float) -> None:
        """Record the duration of a stage ("engine", "render", ...)."""
        self._stages.labels(name).observe(seconds)

    def latency(self, seconds: float) -> None:
        """Record a live frame's time from the arrival of its data to its result, in seconds."""
        self._latency.observe(seconds)

    def file_frame(self, outcome: str) -> None:
        """Count a file's frame; those of cameras are counted in their status."""
        with self._lock:
            self._frames[outcome] += 1

    def event(self, source: str, label: str) -> None:
        """Count an event that began."""
        with self._lock:
            self._events[source, label] += 1

    def suspect(self, source: str) -> None:
        """Count an event that ended and may be a false alarm."""
        with self._lock:
            self._suspects[source] += 1

    def cam(self, source: str, lift: float | None, flicker: float | None) -> None:
        """Record the mean focus lift of a frame's detections and its map's flicker, where known."""
        with self._lock:
            if lift is not None:
                self._lifts.setdefault(source, _Sum()).add(lift)
            if flicker is not None:
                self._flickers.setdefault(source, _Sum()).add(flicker)

    def text(self, service: ServiceStatus) -> bytes:
        """Return all metrics in Prometheus' text format.

        Removed cameras are not in it, nor are jobs if the job store cannot be read.
        """
        cameras = service.cameras()
        with self._lock:
            self._keep_only({status.name for status in cameras} | {FILES})
            counted = [
                _frames(cameras, self._frames),
                *_events(self._events, self._suspects),
                _summary("streamcam_cam_lift", "Mean focus lift of a frame.", self._lifts),
                _summary(
                    "streamcam_cam_flicker", "Change of the map since the last.", self._flickers
                ),
            ]
        current = CollectorRegistry()
        families = [
            *_cameras(cameras),
            *_regions(cameras),
            *counted,
            *_notifications(service),
            *_service(service),
        ]
        current.register(_Families(families))
        return generate_latest(self._registry) + generate_latest(current)

    def _keep_only(self, sources: set[str]) -> None:
        for sums in (self._lifts, self._flickers):
            for removed in sums.keys() - sources:
                del sums[removed]
        for source in self._suspects.keys() - sources:
            del self._suspects[source]
        for names in [names for names in self._events if names[0] not in sources]:
            del self._events[names]


class _Families(Collector):
    """The metrics of one response."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _cameras(cameras: Iterable[CameraStatus]) -> list[Metric]:
    up = GaugeMetricFamily("streamcam_source_up", "Whether a camera is live.", labels=["source"])
    age = GaugeMetricFamily(
        "streamcam_last_frame_age_seconds",
        "Since a camera's last frame that showed something new.",
        labels=["source"],
    )
    reconnects = CounterMetricFamily(
        "streamcam_reconnects", "How often a camera was connected again.", labels=["source"]
    )
    for status in cameras:
        up.add_metric([status.name], float(status.state is CameraState.LIVE))
        reconnects.add_metric([status.name], status.reconnects)
        if status.last_frame_age is not None:
            age.add_metric([status.name], status.last_frame_age)
    return [up, age, reconnects]


def _regions(cameras: Iterable[CameraStatus]) -> list[Metric]:
    inside = GaugeMetricFamily(
        "streamcam_zone_objects", "Tracked objects in a zone now.", labels=["source", "zone"]
    )
    visits = CounterMetricFamily(
        "streamcam_zone_visits", "Objects that left a zone.", labels=["source", "zone", "label"]
    )
    seconds = CounterMetricFamily(
        "streamcam_zone_dwell_seconds",
        "How long the objects that left a zone were in it.",
        labels=["source", "zone", "label"],
    )
    crossings = CounterMetricFamily(
        "streamcam_line_crossings",
        "Objects that crossed a line.",
        labels=["source", "line", "direction", "label"],
    )
    for status in cameras:
        for name, zone in status.regions.zones.items():
            inside.add_metric([status.name, name], zone.objects)
            for label, number in zone.visits.items():
                visits.add_metric([status.name, name, label], number)
                seconds.add_metric([status.name, name, label], zone.seconds[label])
        for name, directions in status.regions.lines.items():
            for direction, counted in directions.items():
                for label, number in counted.items():
                    crossings.add_metric([status.name, name, direction.value, label], number)
    return [inside, visits, seconds, crossings]


def _frames(cameras: Iterable[CameraStatus], files: Counter[str]) -> Metric:
    frames = CounterMetricFamily(
        "streamcam_frames", "What became of frames.", labels=["source", "outcome"]
    )
    for status in cameras:
        counts = status.counts
        frames.add_metric([status.name, "explained"], counts.explained)
        frames.add_metric([status.name, "corrupt"], counts.corrupt)
        if counts.without_map:
            frames.add_metric([status.name, "without map"], counts.without_map)
        for cause, number in counts.dropped.items():
            frames.add_metric([status.name, f"dropped: {cause}"], number)
    for outcome, number in files.items():
        frames.add_metric([FILES, outcome], number)
    return frames


def _events(begun: Counter[tuple[str, str]], suspects: Counter[str]) -> list[Metric]:
    events = CounterMetricFamily(
        "streamcam_events", "Events that began.", labels=["source", "label"]
    )
    for names, number in begun.items():
        events.add_metric(names, number)
    doubtful = CounterMetricFamily(
        "streamcam_event_suspects",
        "Events that ended and may be false alarms.",
        labels=["source"],
    )
    for source, number in suspects.items():
        doubtful.add_metric([source], number)
    return [events, doubtful]


def _summary(name: str, text: str, sums: dict[str, _Sum]) -> Metric:
    family = SummaryMetricFamily(name, text, labels=["source"])
    for source, values in sums.items():
        family.add_metric([source], values.count, values.total)
    return family


def _notifications(service: ServiceStatus) -> list[Metric]:
    changes = CounterMetricFamily(
        "streamcam_notifications",
        "Changes of events that a receiver has got, or never will.",
        labels=["receiver", "outcome"],
    )
    waiting = GaugeMetricFamily(
        "streamcam_notifications_waiting", "Changes of events to be told.", labels=["receiver"]
    )
    up = GaugeMetricFamily("streamcam_mqtt_up", "Whether the MQTT broker is there.")
    for counts in service.notifications():
        changes.add_metric([counts.name, "delivered"], counts.delivered)
        changes.add_metric([counts.name, "dropped"], counts.dropped)
        waiting.add_metric([counts.name], counts.waiting)
        if counts.connected is not None:
            up.add_metric([], float(counts.connected))
    return [changes, waiting, up]


def _service(service: ServiceStatus) -> list[Metric]:
    jobs = GaugeMetricFamily("streamcam_jobs", "Files of the watched folders.", labels=["state"])
    with suppress(StreamcamError):  # the other metrics do not need the job store
        for state, number in service.job_counts().items():
            jobs.add_metric([state.value], number)
    free = GaugeMetricFamily("streamcam_output_free_bytes", "Room for results.")
    free_bytes = service.output_free_bytes()
    if free_bytes is not None:
        free.add_metric([], free_bytes)
    gpu = GaugeMetricFamily(
        "streamcam_gpu_memory_bytes", "Memory of a device.", labels=["device", "kind"]
    )
    for device, memory in service.gpu_memory().items():
        gpu.add_metric([device, "used"], memory.used)
        gpu.add_metric([device, "total"], memory.total)
    up = GaugeMetricFamily(
        "streamcam_device_up", "Whether a device, one of several, works.", labels=["device"]
    )
    for device, works in service.devices_up().items():
        up.add_metric([device], float(works))
    return [jobs, free, gpu, up]
