"""A service that tells a broker of its cameras, and obeys it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest

from tests.cli.conftest import command, environment
from tests.notifications.conftest import VALIDATOR
from tests.processes import eventually
from tests.servers import mosquitto
from tests.servers.mosquitto import PASSWORD, USER, MosquittoBroker, MqttListener
from tests.servers.webhook import WebhookServer
from tests.service.running import PATIENCE, Service, segments, unfinished

STREET = """
[live]
max_fps = 5
[[camera]]
name = "street"
url = "demo://street?width=320&height=180"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoBroker]:
    mosquitto.require()
    with MosquittoBroker(tmp_path, password=True) as made:
        (tmp_path / "mqtt-password").write_text(PASSWORD)
        yield made


def config(broker: MosquittoBroker, folder: Path, topic: str = "cams") -> str:
    return f"""
[mqtt]
host = "127.0.0.1"
port = {broker.port}
username = "{USER}"
password_file = "{folder / "mqtt-password"}"
topic = "{topic}"
{STREET}"""


def test_a_camera_is_told_of_and_takes_commands(broker: MosquittoBroker, tmp_path: Path) -> None:
    with (
        MqttListener(broker.port) as told,
        Service(tmp_path, config(broker, tmp_path)) as service,
    ):

        def holds(topic: str, payload: str) -> bool:
            return told.holds(topic, payload.encode())()

        service.until(lambda: holds("cams/available", "online"))
        service.until(lambda: holds("cams/street/status", "live"))
        service.until(lambda: set(told.payloads("cams/street/person")) - {b"0"})
        device = told.of("homeassistant/device/cams/street/config")[-1].json
        assert {"status", "enabled", "recordings", "person_occupancy"} <= set(device["components"])

        told.send("cams/street/enabled/set", "OFF")
        service.until(lambda: holds("cams/street/status", "paused"))
        service.until(lambda: holds("cams/street/enabled/state", "OFF"))
        service.until(lambda: service.states() == {"street": "paused"})
        service.until(lambda: not unfinished(service.output))
        assert service.ask("/readyz").status == 200, "nothing is wrong"
        service.reload(config(broker, tmp_path) + "max_fps = 4\n")
        service.until(lambda: service.states() == {"street": "paused"})
        told.send("cams/street/enabled/set", "ON")
        service.until(lambda: holds("cams/street/status", "live"))
        service.until(lambda: holds("cams/street/enabled/state", "ON"))

        told.send("cams/street/recordings/set", "OFF")
        service.until(lambda: holds("cams/street/recordings/state", "OFF"))
        service.until(lambda: not unfinished(service.output))
        recorded = len(segments(service.output / "street"))
        assert recorded >= 1
        told.send("cams/street/recordings/set", "ON")
        service.until(lambda: unfinished(service.output))

        service.reload(config(broker, tmp_path, "other"))
        service.until(lambda: holds("other/street/status", "live"))
        service.until(lambda: holds("cams/available", "offline"))
        assert b"streamcam_mqtt_up 1.0" in service.ask("/metrics").body
        assert service.end() == 0
        assert eventually(lambda: holds("other/available", "offline"))
        assert holds("other/street/status", "stopped")
    assert PASSWORD not in service.log


def test_each_event_is_told_from_its_begin_to_its_end(
    broker: MosquittoBroker, tmp_path: Path
) -> None:
    """By the broker and the webhook alike, and as it is kept; the end of the service ends all."""
    events = """
[camera.events]
classes = ["person"]
min_seconds = "400ms"
[[camera.zones]]
name = "left"
points = [0.0, 0.0, 0.5, 1.0]
[[webhook]]
url = "{url}"
"""
    with MqttListener(broker.port) as told, WebhookServer() as hook:
        text = config(broker, tmp_path) + events.format(url=hook.url)
        text = text.replace("[mqtt]", "[mqtt]\nsnapshots = true")
        with Service(tmp_path, text) as service:
            service.until(lambda: sum(m.json["type"] == "new" for m in told.of("cams/events")) > 2)
            assert service.end() == 0
        words = command("events", "list", "--json", "--config", service.config)
        listed = subprocess.run(words, env=environment(), check=True, capture_output=True)
        assert eventually(told.holds("cams/available", b"offline"))
    messages = [message.json for message in told.of("cams/events")]
    posts = [orjson.loads(post.body) for post in hook.posts]
    for message in (*messages, *posts):
        VALIDATOR.validate(message)
    stages: dict[str, list[str]] = {}
    for message in messages:
        stages.setdefault(message["after"]["id"], []).append(message["type"])
    for told_stages in stages.values():
        assert (told_stages[0], told_stages[-1]) == ("new", "end")
        assert set(told_stages[1:-1]) <= {"update"}
    kept = [orjson.loads(line) for line in listed.stdout.splitlines()]
    assert {event["id"] for event in kept} == set(stages)
    last = {m["after"]["id"]: m["after"] for m in messages}
    for event in kept:
        message = last[event["id"]]
        assert (message["label"], message["camera"]) == ("person", "street")
        assert message["entered_zones"] == event["zones"]
        assert message["lift"] == pytest.approx(event["focus"]["lift_mean"], abs=1e-3)
        assert message["has_clip"]
    assert {zone for event in kept for zone in event["zones"]} == {"left"}
    assert [(m["type"], m["after"]["id"]) for m in posts] == [
        (m["type"], m["after"]["id"]) for m in messages if m["type"] != "update"
    ]
    snapshot = told.payloads("cams/street/person/snapshot")[-1]
    assert cv2.imdecode(np.frombuffer(snapshot, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)


def test_a_password_that_cannot_be_read_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    text = '[mqtt]\nhost = "127.0.0.1"\nusername = "a"\npassword_file = "/no/such/file"\n'
    with Service(tmp_path, text + STREET) as service:
        assert service.process.wait(PATIENCE) == 78
    assert "mqtt.password_file: /no/such/file cannot be read: No such file" in service.log
