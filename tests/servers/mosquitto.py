"""A real MQTT broker, and a client that keeps what it is told."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.processes import eventually

USER, PASSWORD = "cam", "s3cret pass"


class MosquittoBroker:
    """Mosquitto on a free port of 127.0.0.1; a context manager. It holds nothing on disk.

    Args:
        folder: Holds its configuration.
        password: Whether it lets nobody in but `USER` with `PASSWORD`.
        certified: An address: it speaks TLS, with a certificate for that. None: it does not.

    Attributes:
        certificate: Its certificate, if it has one.
    """

    def __init__(
        self, folder: Path, *, password: bool = False, certified: str | None = None
    ) -> None:
        self.port = _free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not password).lower()}"]
        # Run by root it would give up its rights, and could not read the files of the test.
        lines.append("user root")
        if password:
            file = folder / "passwords"
            command = ["mosquitto_passwd", "-b", "-c", str(file), USER, PASSWORD]
            subprocess.run(command, check=True, capture_output=True)
            lines.append(f"password_file {file}")
        if certified is not None:
            key, self.certificate = certificate(folder, certified)
            lines += [f"keyfile {key}", f"certfile {self.certificate}"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the same port each time."""
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert eventually(self._answers)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Keep its connections, and answer nothing."""
        self._tell(signal.SIGSTOP)

    def resume(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class ReceivedMessage:
    """What a client was told; `retained` if it was told before the client came."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> Any:
        return orjson.loads(self.payload)


class MqttListener:
    """A client that is told everything; a context manager, connected on entry.

    The broker tells it at once what it gets (QoS 0), and keeps nothing back until it has answered.

    Attributes:
        messages: What it was told, in order.
        lost: Set when the connection is lost, and all that came by it was taken.
    """

    def __init__(self, port: int, filters: str = "#") -> None:
        self.lost = threading.Event()
        self.messages: list[ReceivedMessage] = []
        self._port = port
        self._filters = filters
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe(filters)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._client.on_disconnect = lambda *_: self.lost.set()

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[ReceivedMessage]:
        return [message for message in self.messages if message.topic == topic]

    def payloads(self, topic: str) -> list[bytes]:
        return [message.payload for message in self.of(topic)]

    def holds(self, topic: str, payload: bytes) -> Callable[[], bool]:
        """Return a condition: the last message of a topic is this one."""
        return lambda: self.payloads(topic)[-1:] == [payload]

    def send(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.append(ReceivedMessage(message.topic, bytes(message.payload), message.retain))


def certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """Make a key and a certificate that signs itself, for an address."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=broker", "-addext"]
    command += [f"subjectAltName=IP:{address}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


def require() -> None:
    """Skip the test where the broker is missing; fail it where it must be there."""
    if shutil.which("mosquitto") and shutil.which("openssl"):
        return
    words = "no MQTT broker here (mosquitto, openssl): `make test-packages` as root"
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
