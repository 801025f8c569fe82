"""Tells an MQTT broker of cameras and events, and takes its commands."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from streamcam.clock import Clock
from streamcam.config.notification_schema import MqttSettings
from streamcam.escapes import printable
from streamcam.events.event import EventChange
from streamcam.notifications.event_message import event_message
from streamcam.notifications.home_assistant import OFF, ON
from streamcam.notifications.mqtt_connection import MqttConnection
from streamcam.notifications.outbox import Outbox
from streamcam.notifications.retained_state import RetainedState
from streamcam.notifications.topics import Topics
from streamcam.observer import Observer
from streamcam.types import CameraStatus, FrameResult

_log = logging.getLogger(__name__)

# Counts change with every frame, and people look at them: once a second is enough.
_STATE_SECONDS = 1.0

# A broker on another machine takes milliseconds; `serve` has 60 s to end.
_FAREWELL_SECONDS = 2.0


class CameraControl(Protocol):
    """What commands may do with cameras; from any thread."""

    def pause(self, name: str, paused: bool) -> bool: ...

    def record(self, name: str, on: bool) -> bool: ...

    def statuses(self) -> list[CameraStatus]: ...


class MqttNotifier(Observer):
    """Publishes states, counts and events; nothing that calls it ever waits.

    Events go through a bounded queue, states are told as they are once the broker is there; a
    thread publishes both.

    Args:
        encode: Makes a JPEG of an explained frame, on the notifier's thread.

    Raises:
        ConfigError: See `MqttConnection`.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        encode: Callable[[FrameResult], bytes],
        clock: Clock | None = None,
    ) -> None:
        self._control: CameraControl | None = None
        self._encode = encode
        self._clock = clock or Clock()
        self._snapshots = settings.snapshots
        self._topics = Topics(settings.topic, settings.discovery)
        self._wake = threading.Event()
        self._outbox = Outbox(on_change=self._wake.set)
        self._state = RetainedState(self._topics, snapshots=settings.snapshots)
        self._connection = MqttConnection(settings, self._topics, self._receive, self._wake.set)
        self._connections = 0
        self._round: deque[tuple[str, bytes]] = deque()
        self._next_round = 0.0
        self._pictures: dict[tuple[str, str], FrameResult] = {}
        self._deadline: float | None = None
        self.delivered = 0
        self._thread = threading.Thread(target=self._run, name="streamcam mqtt", daemon=True)

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def dropped(self) -> int:
        """Changes of events that were given up."""
        return self._outbox.dropped

    @property
    def waiting(self) -> int:
        """Changes of events that the broker has not got."""
        return len(self._outbox)

    def start(self, control: CameraControl, classes: Mapping[str, Iterable[str]]) -> None:
        """Begin; `classes` as in `set_cameras`."""
        self._control = control
        self.set_cameras(classes)
        self._connection.start()
        self._thread.start()

    def set_cameras(self, classes: Mapping[str, Iterable[str]]) -> None:
        """Tell of these cameras; of each the labels that are told of from the begin."""
        self._state.set_cameras(classes)
        assert self._control is not None
        for status in self._control.statuses():
            self._state.note_status(status)
        self._wake.set()

    def stop(self, grace: float) -> None:
        """Publish what waits, within `grace` seconds if the broker is there, and disconnect."""
        self._deadline = self._clock.monotonic() + grace
        self._wake.set()
        self._thread.join(grace + 2 * _FAREWELL_SECONDS)

    def camera_changed(self, status: CameraStatus) -> None:
        if self._state.note_status(status):
            self._wake.set()

    def camera_frame(self, result: FrameResult, latency: float) -> None:  # noqa: ARG002
        if self._state.note_frame(result):
            self._wake.set()

    def event_changed(self, change: EventChange) -> None:
        event, picture = change.event, change.picture
        if self._snapshots and picture is not None and self.connected:
            self._pictures[event.source, event.label] = picture
        self._outbox.put(change)

    def _run(self) -> None:
        while not self._is_done():
            self._wake.wait(self._seconds_to_wait())
            self._wake.clear()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - one message must not end the others
                _log.error("MQTT: internal fault: %s: %s", type(error).__name__, error)
        lost = self._outbox.clear() + self._connection.unconfirmed
        if lost:
            _log.warning("MQTT: %d changes of events could not be told", lost)
        self._connection.stop(_FAREWELL_SECONDS)

    def _work(self) -> None:
        self.delivered += self._connection.settle()
        self._encode_pictures()
        self._publish_states()
        self._publish_events()

    def _is_done(self) -> bool:
        if self._deadline is None:
            return False
        told = not self._outbox and not self._connection.on_their_way and not self._state.pending()
        return told or not self._connection.connected or self._clock.monotonic() >= self._deadline

    def _seconds_to_wait(self) -> float | None:
        """Return how long nothing is to be done, unless something happens; None for no limit."""
        now = self._clock.monotonic()
        if self._deadline is not None:
            return max(0.0, self._deadline - now)
        return self._next_round - now if self._next_round > now else None

    def _encode_pictures(self) -> None:
        while self._pictures:
            (camera, label), picture = self._pictures.popitem()
            self._state.note_snapshot(camera, label, self._encode(picture))

    def _publish_states(self) -> None:
        """Tell the states that differ from what was told; at once after a connection."""
        if self._connections != self._connection.connections:
            self._connections = self._connection.connections
            self._round.clear()
            self._state.forget_told()
            self._next_round = 0.0
        now = self._clock.monotonic()
        if not self._round and (now >= self._next_round or self._deadline is not None):
            self._round.extend(self._state.pending())
            self._next_round = now + _STATE_SECONDS if self._round else now
        while self._round and self._connection.has_room:
            topic, payload = self._round.popleft()
            self._connection.publish(topic, payload, retain=True)
            self._state.note_told(topic, payload)

    def _publish_events(self) -> None:
        while self._connection.has_room and (change := self._outbox.take()) is not None:
            has_clip = self._state.records(change.event.source)
            message = event_message(change, has_clip=has_clip)
            self._connection.publish(self._topics.events, message, counted=True)

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a command, or what the broker holds from before."""
        levels = self._topics.levels(topic)
        if len(levels) != 3:
            if retained and self._state.note_found(topic, payload):
                self._wake.set()
        # One that was retained is of an earlier day: it would be obeyed at every connection.
        elif not retained:
            self._obey(levels[0], levels[1], payload.strip().upper())

    def _obey(self, camera: str, switch: str, wanted: bytes) -> None:
        assert self._control is not None
        if wanted not in (ON, OFF):
            known = False
        elif switch == "enabled":
            known = self._control.pause(camera, wanted == OFF)
        else:
            known = self._control.record(camera, wanted == ON)
        if not known:
            what = printable(f"{camera}/{switch}")
            _log.warning("MQTT: a command for %s that cannot be obeyed", what)
