"""A connection to an MQTT broker that is kept up for ever, by paho-mqtt.

paho-mqtt, of the Eclipse Foundation, has threads, as this program; aiomqtt, which wraps it, would
need an event loop of its own.
"""

import logging
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamcam.config.notification_schema import MqttSettings
from streamcam.errors import ConfigError
from streamcam.escapes import printable
from streamcam.notifications.home_assistant import OFFLINE, ONLINE
from streamcam.notifications.secret_files import read_secret
from streamcam.notifications.topics import Topics, identifier

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_log = logging.getLogger(__name__)

_PORT, _TLS_PORT = 1883, 8883

# By this time and half of it a broker notices that this machine has lost its power.
_KEEP_ALIVE_SECONDS = 30

# A broker that restarts is back within a second; one that is away is asked twice a minute.
_FIRST_PAUSE, _LONGEST_PAUSE = 1, 30

# Messages on their way: as many as paho-mqtt sends without an answer, so that it queues none.
_WINDOW = 20


class MqttConnection:
    """Connects, and connects again; messages on their way are sent again then, none is lost.

    The broker announces by a last will that this program is gone. `publish`, `settle` and `stop`
    are for one thread.

    Args:
        on_message: Called with topic, payload and whether it was retained, in paho's thread.
        on_change: Called when it was connected, or a message has arrived; must be quick.

    Attributes:
        connected: Whether the broker answers.
        connections: How often it was connected.

    Raises:
        ConfigError: A file cannot be read, or paho-mqtt is not installed.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        on_message: Callable[[str, bytes, bool], None],
        on_change: Callable[[], None],
    ) -> None:
        self.connected = False
        self.connections = 0
        port = settings.port or (_TLS_PORT if settings.tls else _PORT)
        self._name = f"MQTT broker {settings.host}:{port}"
        self._topics = topics
        self._on_message = on_message
        self._on_change = on_change
        self._stopping = False
        self._fault: str | None = None
        self._on_their_way: dict[int, bool] = {}
        self._arrived: deque[int] = deque()
        self._client = self._new_client(settings)
        self._client.connect_async(settings.host or "", port, _KEEP_ALIVE_SECONDS)

    def start(self) -> None:
        self._client.loop_start()

    def settle(self) -> int:
        """Take what has arrived at the broker; return how many messages to be counted did."""
        counted = 0
        while self._arrived:
            counted += self._on_their_way.pop(self._arrived.popleft(), False)
        return counted

    @property
    def on_their_way(self) -> int:
        """Messages that the broker has not confirmed, by the last `settle`."""
        return len(self._on_their_way)

    @property
    def unconfirmed(self) -> int:
        """Of the messages on their way those to be counted."""
        return sum(self._on_their_way.values())

    @property
    def has_room(self) -> bool:
        """Whether a message would be sent at once."""
        return self.connected and len(self._on_their_way) < _WINDOW

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, counted: bool = False
    ) -> None:
        """Send a message, at least once; never waits."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._on_their_way[info.mid] = counted

    def stop(self, timeout: float) -> None:
        """Announce the end and disconnect; a broker that hangs is left alone after `timeout` s."""
        self._stopping = True
        if self.connected:
            farewell = self._client.publish(self._topics.available, OFFLINE, qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # the connection was lost meanwhile
                farewell.wait_for_publish(timeout)
        self._client.disconnect()
        # Not here: it would wait for a connection that hangs.
        ending = threading.Thread(
            target=self._client.loop_stop, name="streamcam mqtt end", daemon=True
        )
        ending.start()
        ending.join(timeout)

    def _new_client(self, settings: MqttSettings) -> "Client":
        if find_spec("paho") is None:
            raise ConfigError(
                "mqtt.host: MQTT needs paho-mqtt", hint="pip install 'streamcam[mqtt]'"
            )
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        # A name that stays: a broker that still holds the connection from before ends it, instead
        # of announcing minutes later that this program is gone.
        client = Client(CallbackAPIVersion.VERSION2, f"streamcam-{identifier(settings.topic)}")
        client.will_set(self._topics.available, OFFLINE, qos=1, retain=True)
        client.reconnect_delay_set(_FIRST_PAUSE, _LONGEST_PAUSE)
        if settings.username is not None:
            file = settings.password_file
            client.username_pw_set(
                settings.username, read_secret(file, "mqtt.password_file") if file else None
            )
        if settings.tls:
            _encrypt(client, settings.ca_file)
        client.suppress_exceptions = True
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._received
        return client

    def _connected(self, client: "Client", _data: Any, _flags: Any, reason: Any, _: Any) -> None:  # noqa: ANN401 - paho's
        if reason.is_failure:
            self._note_fault(f"refuses the connection: {str(reason).lower()}")
            return
        self._fault = None
        _log.info("%s: connected", self._name)
        filters = (*self._topics.commands, self._topics.counts, self._topics.available)
        client.subscribe([(topic, 1) for topic in filters])
        client.publish(self._topics.available, ONLINE, qos=1, retain=True)
        self.connections += 1
        self.connected = True
        self._on_change()

    def _failed(self, *_: Any) -> None:  # noqa: ANN401 - paho's
        error = sys.exception()  # paho calls this while it handles the error
        if isinstance(error, ssl.SSLCertVerificationError):
            self._note_fault(f"its certificate is refused: {error.verify_message}")
        else:
            self._note_fault(f"cannot be reached: {getattr(error, 'strerror', None) or error}")

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _: Any) -> None:  # noqa: ANN401 - paho's
        if self.connected and reason.is_failure:
            self._note_fault("the connection was lost")
        self.connected = False
        self._on_change()

    def _published(self, _client: Any, _data: Any, number: int, *_: Any) -> None:  # noqa: ANN401 - paho's
        self._arrived.append(number)
        self._on_change()

    def _received(self, client: "Client", _data: Any, message: "MQTTMessage") -> None:  # noqa: ANN401 - paho's
        if message.topic == self._topics.available:
            # The last will of a connection from before, which came late.
            if message.payload == OFFLINE and not message.retain and not self._stopping:
                client.publish(self._topics.available, ONLINE, qos=1, retain=True)
            return
        self._on_message(message.topic, bytes(message.payload), message.retain)

    def _note_fault(self, fault: str) -> None:
        """Log what is wrong, once."""
        if fault != self._fault:
            self._fault = fault
            _log.warning("%s: %s; trying again", self._name, printable(fault))


def _encrypt(client: "Client", ca_file: Path | None) -> None:
    try:
        client.tls_set(None if ca_file is None else str(ca_file))
    except OSError as error:
        is_odd = isinstance(error, ssl.SSLError)
        reason = "it holds no certificates" if is_odd else error.strerror
        raise ConfigError(f"mqtt.ca_file: {ca_file} cannot be used: {reason}") from None
