"""What Prometheus reads, parsed by Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families

from streamcam.events.event import EventChange, EventStage, Suspicion
from streamcam.notifications.notifiers import NotifierCounts
from streamcam.service.metrics import FILES, Metrics
from streamcam.service.reporting import ServiceObserver
from streamcam.types import CameraState
from tests.events.test_event_store import event
from tests.service.http.fake_status import COUNTS, FakeStatus


def samples(metrics: Metrics, fake: FakeStatus) -> dict[tuple[str, ...], float]:
    """Return values by name and the labels' values, in the order of the labels' names."""
    text = metrics.text(fake).decode()
    return {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_of_cameras_equal_their_status() -> None:
    fake = FakeStatus()
    fake.add("front")
    fake.add("yard", CameraState.BACKING_OFF)
    found = samples(Metrics(), fake)
    assert found["streamcam_source_up", "front"] == 1
    assert found["streamcam_source_up", "yard"] == 0
    assert found["streamcam_last_frame_age_seconds", "yard"] == 75
    assert found["streamcam_reconnects_total", "front"] == 2
    assert found["streamcam_frames_total", "explained", "front"] == COUNTS.explained
    assert found["streamcam_frames_total", "corrupt", "front"] == COUNTS.corrupt
    assert found["streamcam_frames_total", "dropped: busy", "front"] == 590
    assert found["streamcam_zone_objects", "front", "door"] == 2
    assert found["streamcam_zone_visits_total", "person", "front", "door"] == 4
    assert found["streamcam_zone_dwell_seconds_total", "person", "front", "door"] == 50
    assert found["streamcam_line_crossings_total", "in", "person", "gate", "front"] == 3
    assert ("streamcam_line_crossings_total", "out", "person", "gate", "front") not in found
    assert found["streamcam_output_free_bytes",] == 250e9
    assert found["streamcam_gpu_memory_bytes", "cuda:0", "used"] == 3e9
    assert found["streamcam_device_up", "cuda:0"] == 1
    assert found["streamcam_device_up", "cuda:1"] == 0


def test_a_removed_camera_vanishes_and_does_not_come_back_with_old_sums() -> None:
    fake, metrics = FakeStatus(), Metrics()
    fake.add("front")
    metrics.cam("front", 3.0, 0.02)
    metrics.cam("front", 5.0, None)
    found = samples(metrics, fake)
    assert found["streamcam_cam_lift_sum", "front"] == 8
    assert found["streamcam_cam_lift_count", "front"] == 2
    assert found["streamcam_cam_flicker_count", "front"] == 1
    fake.remove("front")
    assert not [key for key in samples(metrics, fake) if "front" in key]
    fake.add("front")
    assert ("streamcam_cam_lift_sum", "front") not in samples(metrics, fake)


def test_stages_and_latencies_are_histograms() -> None:
    metrics = Metrics()
    metrics.stage("engine", 0.02)
    metrics.stage("engine", 0.2)
    metrics.latency(0.4)
    found = samples(metrics, FakeStatus())
    assert found["streamcam_stage_seconds_count", "engine"] == 2
    assert found["streamcam_stage_seconds_bucket", "0.025", "engine"] == 1
    assert found["streamcam_e2e_latency_seconds_bucket", "0.3"] == 0
    assert found["streamcam_e2e_latency_seconds_bucket", "0.5"] == 1


def test_files_share_one_label() -> None:
    metrics = Metrics()
    metrics.file_frame("explained")
    metrics.file_frame("explained")
    metrics.cam(FILES, 2.5, 0.01)
    found = samples(metrics, FakeStatus())
    assert found["streamcam_frames_total", "explained", FILES] == 2
    assert found["streamcam_cam_lift_sum", FILES] == 2.5


def test_events_are_counted_by_camera_and_class_and_vanish_with_it() -> None:
    fake, metrics = FakeStatus(), Metrics()
    fake.add("front")
    observer = ServiceObserver(metrics)
    doubtful = event(0, "front", "person", (), Suspicion.FLICKERING)
    for made in (doubtful, event(1, "front", "dog")):
        for stage in EventStage:
            observer.event_changed(EventChange(stage, made))
    found = samples(metrics, fake)
    assert found["streamcam_events_total", "person", "front"] == 1
    assert found["streamcam_events_total", "dog", "front"] == 1
    assert found["streamcam_event_suspects_total", "front"] == 1
    fake.remove("front")
    assert not [key for key in samples(metrics, fake) if "front" in key]


def test_receivers_of_notifications_have_their_counts() -> None:
    fake = FakeStatus()
    fake.told = [
        NotifierCounts("mqtt", 120, 3, 7, connected=False),
        NotifierCounts("webhook 1", 100, 0, 0),
    ]
    found = samples(Metrics(), fake)
    assert found["streamcam_notifications_total", "delivered", "mqtt"] == 120
    assert found["streamcam_notifications_total", "dropped", "mqtt"] == 3
    assert found["streamcam_notifications_waiting", "mqtt"] == 7
    assert found["streamcam_notifications_total", "delivered", "webhook 1"] == 100
    assert found["streamcam_mqtt_up",] == 0
    fake.told = []
    assert not [name for name, *_ in samples(Metrics(), fake) if "mqtt" in name]
