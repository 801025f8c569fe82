"""The notifiers of a configuration, as it changes."""

from pathlib import Path
from typing import Any

import pytest

from streamcam.config import Settings
from streamcam.errors import ConfigError
from streamcam.notifications.notifiers import Notifiers
from tests.notifications.conftest import StubControl, camera, end
from tests.processes import eventually
from tests.servers import mosquitto
from tests.servers.mosquitto import MosquittoBroker, MqttListener


def settings(**sections: Any) -> Settings:
    cameras = [{"name": "yard", "url": "rtsp://10.0.0.5/a", "classes": ["person"]}]
    return Settings.model_validate({"camera": cameras, **sections})


def test_without_receivers_nothing_is_counted() -> None:
    notifiers = Notifiers()
    notifiers.check(settings())
    notifiers.apply(settings(), StubControl(), 1)
    notifiers.event_changed(end())
    notifiers.camera_changed(camera())
    assert notifiers.counts() == []
    notifiers.stop(1)


def test_what_has_not_changed_keeps_running(tmp_path: Path) -> None:
    mosquitto.require()
    control = StubControl(camera())
    notifiers = Notifiers()
    with MosquittoBroker(tmp_path) as broker, MqttListener(broker.port) as told:
        mqtt = {"host": "127.0.0.1", "port": broker.port}
        webhook = {"url": "http://127.0.0.1:1/"}
        try:
            notifiers.apply(settings(mqtt=mqtt, webhook=[webhook]), control, 5)
            assert eventually(told.holds("streamcam/yard/person", b"0")), "a class of the settings"
            notifiers.event_changed(end(1))
            assert eventually(lambda: notifiers.counts()[0].delivered == 1)
            notifiers.apply(settings(mqtt=mqtt, webhook=[webhook], live={"max_fps": 1}), control, 5)
            assert [counts.name for counts in notifiers.counts()] == ["mqtt", "webhook 1"]
            assert notifiers.counts()[0].delivered == 1
            notifiers.apply(settings(mqtt=mqtt), control, 5)
            (counts,) = notifiers.counts()
            assert (counts.name, counts.connected) == ("mqtt", True)
            assert b"offline" not in told.payloads("streamcam/available")
            notifiers.apply(settings(mqtt=mqtt | {"topic": "other"}), control, 5)
            assert eventually(told.holds("streamcam/available", b"offline"))
            assert eventually(told.holds("other/available", b"online"))
            notifiers.apply(settings(), control, 5)
            assert eventually(told.holds("other/available", b"offline"))
            assert notifiers.counts() == []
        finally:
            notifiers.stop(5)


@pytest.mark.parametrize(
    "section",
    [
        {"mqtt": {"host": "a", "username": "b", "password_file": "/no/such"}},
        {"webhook": [{"url": "http://a", "secret_file": "/no/such"}]},
    ],
    ids=["mqtt", "webhook"],
)
def test_files_are_checked_before_anything_is_changed(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="/no/such cannot be read"):
        Notifiers().check(settings(**section))
