"""What a broker is to hold of the cameras: retained topics, and which of them it has not got."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from streamcam.notifications.home_assistant import OFF, ON, device_message
from streamcam.notifications.topics import STATUS, Topics, level_of
from streamcam.types import CameraState, CameraStatus, FrameResult

_MOST_LABELS = 200
"""Classes of a camera that have topics: more than COCO has, and a bound for models with
thousands."""


class RetainedState:
    """States, switches and counts of cameras as retained topics; from any thread.

    A broker is told what differs from what it was told before: of values that change quickly the
    newest.
    """

    def __init__(self, topics: Topics, *, snapshots: bool) -> None:
        self._topics = topics
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._cameras: dict[str, CameraTopics] = {}
        self._told: dict[str, bytes] = {}

    def set_cameras(self, classes: Mapping[str, Iterable[str]]) -> None:
        """Take these cameras in place of those before, whose topics are cleared.

        Args:
            classes: Labels that each camera, by its name, is known to tell of.
        """
        with self._lock:
            self._cameras = {
                name: self._cameras.get(name)
                or CameraTopics(name, self._topics, snapshots=self._snapshots)
                for name in classes
            }
            for name, labels in classes.items():
                for label in labels:
                    self._cameras[name].note_label(level_of(label), label)

    def note_status(self, status: CameraStatus) -> bool:
        """Take a camera's status; return whether there is something to tell."""
        with self._lock:
            camera = self._cameras.get(status.name)
            return camera is not None and camera.note_status(status)

    def note_frame(self, result: FrameResult) -> bool:
        """Count the objects of a camera's frame; return whether there is something to tell."""
        counts = Counter(detection.label for detection in result.detections)
        with self._lock:
            camera = self._cameras.get(result.frame.source)
            return camera is not None and camera.note_counts(counts)

    def note_snapshot(self, camera: str, label: str, jpeg: bytes) -> None:
        with self._lock:
            if camera in self._cameras:
                self._cameras[camera].note_snapshot(label, jpeg)

    def note_found(self, topic: str, payload: bytes) -> bool:
        """Take a retained topic that the broker holds, perhaps of a former run.

        A class that was counted then counts none now. Returns whether there is something to tell.
        """
        camera, *below = self._topics.levels(topic)
        with self._lock:
            if camera not in self._cameras or len(below) != 1 or not payload.isdigit():
                return False
            return self._cameras[camera].note_label(below[0], below[0].replace("_", " "))

    def records(self, camera: str) -> bool:
        """Return whether a camera's recording goes on."""
        with self._lock:
            known = self._cameras.get(camera)
            return known is not None and bool(known.recording)

    def pending(self) -> list[tuple[str, bytes]]:
        """Return what the broker is to be told, topics and payloads; no payload clears a topic."""
        with self._lock:
            wanted = {
                topic: payload
                for camera in self._cameras.values()
                for topic, payload in camera.payloads.items()
            }
        cleared = [(topic, b"") for topic in self._told if topic not in wanted]
        changed = [(t, payload) for t, payload in wanted.items() if self._told.get(t) != payload]
        return cleared + changed

    def note_told(self, topic: str, payload: bytes) -> None:
        """Take that the broker was told; by the thread that calls `pending`."""
        if payload:
            self._told[topic] = payload
        else:
            self._told.pop(topic, None)

    def forget_told(self) -> None:
        """Tell everything anew: the broker may have lost it."""
        self._told = dict.fromkeys(self._told, b"")


class CameraTopics:
    """The retained topics of one camera.

    Attributes:
        payloads: What each topic is to hold.
        recording: Whether its recording goes on; None where it has none.
    """

    def __init__(self, name: str, topics: Topics, *, snapshots: bool) -> None:
        self.payloads: dict[str, bytes] = {}
        self.recording: bool | None = None
        self._name = name
        self._topics = topics
        self._snapshots = snapshots
        self._labels: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def note_status(self, status: CameraStatus) -> bool:
        before = self.payloads.copy()
        self.recording = status.recording
        self.payloads[self._topics.status(self._name)] = status.state.value.encode()
        self._note_switch("enabled", status.state is not CameraState.PAUSED)
        self._note_switch("recordings", status.recording)
        if status.state is not CameraState.LIVE:
            self.note_counts(Counter())
        self._announce()
        return self.payloads != before

    def note_counts(self, counts: Counter[str]) -> bool:
        """Take the number of objects by label."""
        if counts == self._counts:
            return False
        self._counts = counts
        for label in counts:
            self.note_label(level_of(label), label)
        by_level = Counter(dict.fromkeys(self._labels, 0))
        for label, count in counts.items():
            by_level[level_of(label)] += count
        for level in self._labels:
            self.payloads[self._topics.count(self._name, level)] = b"%d" % by_level[level]
        return True

    def note_label(self, level: str, label: str) -> bool:
        """Take a class; return whether it is new."""
        if level in self._labels or len(self._labels) >= _MOST_LABELS or level == STATUS:
            return False
        self._labels[level] = label
        self.payloads[self._topics.count(self._name, level)] = b"0"
        self._announce()
        return True

    def note_snapshot(self, label: str, jpeg: bytes) -> None:
        level = level_of(label)
        self.note_label(level, label)
        if level in self._labels:
            self.payloads[self._topics.snapshot(self._name, level)] = jpeg

    def _note_switch(self, switch: str, on: bool | None) -> None:
        topic = self._topics.switch(self._name, switch, "state")
        if on is None:
            self.payloads.pop(topic, None)
        else:
            self.payloads[topic] = ON if on else OFF

    def _announce(self) -> None:
        """Make a device for Home Assistant of what there is to tell."""
        topic = self._topics.device(self._name)
        if topic is not None:
            self.payloads[topic] = device_message(
                self._topics,
                self._name,
                self._labels,
                recording=self.recording is not None,
                snapshots=self._snapshots,
            )
