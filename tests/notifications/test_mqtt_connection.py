"""Brokers with passwords and certificates, and those that refuse."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamcam.config.notification_schema import MqttSettings
from streamcam.errors import ConfigError
from streamcam.notifications.mqtt_connection import MqttConnection
from streamcam.notifications.topics import Topics
from tests.processes import eventually
from tests.servers.mosquitto import PASSWORD, USER, MosquittoBroker, certificate


@contextmanager
def connection(**settings: Any) -> Iterator[MqttConnection]:
    made = MqttConnection(
        MqttSettings(**{"host": "127.0.0.1"} | settings),
        Topics("streamcam", ""),
        lambda *_: None,
        lambda: None,
    )
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.mark.usefixtures("broker_folder")
def test_user_and_password_by_tls(
    tmp_path: Path, password_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with MosquittoBroker(tmp_path, password=True, certified="127.0.0.1") as broker:
        own = {"port": broker.port, "tls": True, "ca_file": broker.certificate}
        with connection(**own, username=USER, password_file=password_file) as made:
            assert eventually(lambda: made.connected)
        password_file.write_text("another")
        with connection(**own, username=USER, password_file=password_file) as made:
            assert eventually(lambda: "refuses the connection: not authorized" in caplog.text)
        with connection(**own) as made:
            assert eventually(lambda: caplog.text.count("not authorized") == 2)
        assert not made.connected
    assert PASSWORD not in caplog.text
    assert "another" not in caplog.text


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("broker_folder")
def test_certificates_are_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that nobody vouches for, and one of another machine."""
    other = tmp_path / "other"
    other.mkdir()
    _, unrelated = certificate(other, "127.0.0.1")
    with MosquittoBroker(tmp_path, certified="10.0.0.9") as broker:
        for trusted, reason in (
            (unrelated, "self-signed certificate"),
            (broker.certificate, "IP address mismatch"),
        ):
            with connection(port=broker.port, tls=True, ca_file=trusted) as made:
                wanted = f"its certificate is refused: {reason}"
                assert eventually(lambda: wanted in caplog.text)  # noqa: B023 - of this turn
            assert not made.connected


def test_a_name_that_is_none_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with connection(host="broker.invalid"):
        assert eventually(lambda: "MQTT broker broker.invalid:1883: cannot be" in caplog.text)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe")
    for file, reason in (
        (tmp_path / "none", "No such file"),
        (empty, "empty"),
        (binary, "not text"),
    ):
        wanted = f"mqtt.password_file: {file}.*{reason}"
        with pytest.raises(ConfigError, match=wanted), connection(username="a", password_file=file):
            pass
    for file, reason in ((tmp_path / "none", "No such file"), (empty, "no certificates")):
        wanted = f"mqtt.ca_file: {file} cannot be used: .*{reason}"
        with pytest.raises(ConfigError, match=wanted), connection(tls=True, ca_file=file):
            pass


def test_without_paho_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(ConfigError) as caught, connection():
        pass
    assert caught.value.hint == "pip install 'streamcam[mqtt]'"
