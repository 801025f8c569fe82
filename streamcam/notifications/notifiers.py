"""The notifiers that the settings ask for, as one observer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.events.event import EventChange
from streamcam.notifications.mqtt_notifier import CameraControl, MqttNotifier
from streamcam.notifications.webhook_notifier import WebhookNotifier
from streamcam.observer import Observer
from streamcam.render import Style, annotate
from streamcam.sinks.pictures import PreviewSink
from streamcam.types import CameraStatus, FrameResult


@dataclass(frozen=True, slots=True)
class NotifierCounts:
    """What became of the changes of events that one receiver was to be told.

    Attributes:
        name: "mqtt", "webhook 1", "webhook 2", ...
        delivered: Those that it has confirmed.
        dropped: Those that were given up.
        waiting: Those that it is yet to be told.
        connected: Whether the broker is there; None for webhooks.
    """

    name: str
    delivered: int
    dropped: int
    waiting: int
    connected: bool | None = None


class Notifiers(Observer):
    """Runs the notifiers of a configuration; `apply` and `stop` are for one thread."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._mqtt: MqttNotifier | None = None
        self._webhooks: Sequence[WebhookNotifier] = ()
        self._settings = Settings()
        self._recorded: dict[str, bool] = {}

    def check(self, settings: Settings) -> None:
        """Raise `ConfigError` where the notifiers of these settings cannot be made."""
        self._new_mqtt(settings)
        self._new_webhooks(settings)

    def apply(self, settings: Settings, control: CameraControl, grace: float) -> None:
        """Run exactly what the settings ask for; what has not changed keeps running.

        Args:
            settings: Those that the cameras run with by now.
            control: The cameras.
            grace: Seconds for what is replaced to tell what waits.
        """
        before, self._settings = self._settings, settings
        if before.mqtt != settings.mqtt or before.render != settings.render:
            mqtt, self._mqtt = self._mqtt, None
            if mqtt is not None:
                mqtt.stop(grace)
            self._mqtt = self._new_mqtt(settings)
            if self._mqtt is not None:
                self._mqtt.start(control, _classes(settings))
        elif self._mqtt is not None:
            self._mqtt.set_cameras(_classes(settings))
        if before.webhook != settings.webhook:
            webhooks, self._webhooks = self._webhooks, self._new_webhooks(settings)
            for webhook in self._webhooks:
                webhook.start()
            for webhook in webhooks:
                webhook.stop(grace)

    def stop(self, grace: float) -> None:
        """Tell what waits, within `grace` seconds, and end."""
        deadline = self._clock.monotonic() + grace
        if self._mqtt is not None:
            self._mqtt.stop(grace)
        for webhook in self._webhooks:
            webhook.stop(max(0.0, deadline - self._clock.monotonic()))
        self._mqtt, self._webhooks = None, ()

    def counts(self) -> list[NotifierCounts]:
        """Return what became of events so far, by receiver. From any thread."""
        mqtt = self._mqtt
        found = [
            NotifierCounts(each.name, each.delivered, each.dropped, each.waiting)
            for each in self._webhooks
        ]
        if mqtt is not None:
            counts = (mqtt.name, mqtt.delivered, mqtt.dropped, mqtt.waiting, mqtt.connected)
            found.insert(0, NotifierCounts(*counts))
        return found

    def camera_changed(self, status: CameraStatus) -> None:
        self._recorded[status.name] = bool(status.recording)
        if (mqtt := self._mqtt) is not None:
            mqtt.camera_changed(status)

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        if (mqtt := self._mqtt) is not None:
            mqtt.camera_frame(result, latency)

    def event_changed(self, change: EventChange) -> None:
        if (mqtt := self._mqtt) is not None:
            mqtt.event_changed(change)
        for webhook in self._webhooks:
            webhook.event_changed(change)

    def _new_mqtt(self, settings: Settings) -> MqttNotifier | None:
        if settings.mqtt.host is None:
            return None
        style = Style(**settings.render.model_dump())

        def encode(result: FrameResult) -> bytes:
            preview = PreviewSink(lambda each: annotate(each, style))
            preview.write(result)
            encoded = preview.preview()
            assert encoded is not None
            return encoded.jpeg

        return MqttNotifier(settings.mqtt, encode, self._clock)

    def _new_webhooks(self, settings: Settings) -> list[WebhookNotifier]:
        return [
            WebhookNotifier(f"webhook {number}", each, self._is_recorded, self._clock)
            for number, each in enumerate(settings.webhook, start=1)
        ]

    def _is_recorded(self, source: str) -> bool:
        return self._recorded.get(source, False)


def _classes(settings: Settings) -> Mapping[str, Sequence[str]]:
    """Return the cameras' names, and the labels that each is known to tell of."""
    return {
        camera.name: camera.classes or settings.model.classes or ()
        for camera in settings.camera
        if camera.enabled
    }
