"""States, counts, events and commands by way of a real broker."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamcam.config.notification_schema import MqttSettings
from streamcam.notifications import mqtt_connection, mqtt_notifier
from streamcam.notifications.mqtt_notifier import MqttNotifier
from streamcam.types import CameraState, FrameResult
from tests.events.tracked import found, result
from tests.notifications.conftest import (
    VALIDATOR,
    StubControl,
    camera,
    end,
    new,
    update,
)
from tests.processes import eventually
from tests.servers.mosquitto import MosquittoBroker, MqttListener
from tests.servers.tcp import Door

JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
ENDS = 20
"""Events each time that some happen."""


@pytest.fixture(scope="module")
def broker(broker_folder: Path) -> Iterator[MosquittoBroker]:
    with MosquittoBroker(broker_folder) as made:
        yield made


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses are for people and networks; a broker on this machine needs none."""
    monkeypatch.setattr(mqtt_notifier, "_STATE_SECONDS", 0.05)
    monkeypatch.setattr(mqtt_connection, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(mqtt_connection, "_LONGEST_PAUSE", 0.1)


def encode(_: FrameResult) -> bytes:
    return JPEG


@contextmanager
def notifier(
    port: int,
    control: StubControl,
    classes: Mapping[str, Sequence[str]] | None = None,
    **settings: Any,
) -> Iterator[MqttNotifier]:
    """A notifier of these cameras at a broker, with a topic of its own for each test."""
    made = MqttNotifier(MqttSettings(host="127.0.0.1", port=port, **settings), encode)
    control.observe = made.camera_changed
    made.start(control, dict.fromkeys(control.cameras, ()) if classes is None else classes)
    try:
        yield made
    finally:
        made.stop(5)


def test_states_and_counts_are_retained(broker: MosquittoBroker) -> None:
    control = StubControl(camera("yard"), camera("door", recording=None))
    with notifier(broker.port, control, topic="states") as made, MqttListener(broker.port) as all_:
        assert eventually(all_.holds("states/available", b"online"))
        made.camera_frame(result(0, found(1), found(2), found(3, "dog")), 0.1)
        assert eventually(all_.holds("states/yard/person", b"2"))
        assert eventually(all_.holds("states/yard/dog", b"1"))
        made.camera_frame(result(1, found(2)), 0.1)
        assert eventually(all_.holds("states/yard/person", b"1"))
        assert eventually(all_.holds("states/yard/dog", b"0"))
        made.camera_changed(camera("yard", CameraState.BACKING_OFF))
        assert eventually(all_.holds("states/yard/status", b"backing off"))
        assert eventually(all_.holds("states/yard/person", b"0")), "nothing is seen of it"
    with MqttListener(broker.port, "states/#") as late:
        assert eventually(late.holds("states/available", b"offline"))
        assert eventually(lambda: len(late.messages) == 8)
        assert all(message.retained for message in late.messages)
        held = {message.topic.removeprefix("states/"): message.payload for message in late.messages}
    assert held == {
        "available": b"offline",
        "yard/status": b"backing off",
        "yard/enabled/state": b"ON",
        "yard/recordings/state": b"ON",
        "yard/person": b"0",
        "yard/dog": b"0",
        "door/status": b"live",
        "door/enabled/state": b"ON",
    }


def test_counts_that_change_with_every_frame_are_told_at_a_bounded_rate(
    broker: MosquittoBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_notifier, "_STATE_SECONDS", 0.5)
    control = StubControl(camera())
    with notifier(broker.port, control, topic="rate") as made, MqttListener(broker.port) as all_:
        assert eventually(all_.holds("rate/yard/status", b"live"))
        for number in range(1000):
            made.camera_frame(result(number, *[found()] * (number % 2)), 0.1)
        made.camera_frame(result(1000, found(), found()), 0.1)
        assert eventually(all_.holds("rate/yard/person", b"2"))
    assert len(all_.of("rate/yard/person")) <= 3


def test_events_are_told_once_each_in_their_order(broker: MosquittoBroker) -> None:
    with (
        MqttListener(broker.port) as all_,
        notifier(broker.port, StubControl(camera()), topic="events") as made,
    ):
        for number in range(1, 101):
            made.event_changed(new(number))
            made.event_changed(end(number))
        assert eventually(lambda: len(all_.of("events/events")) == 200)
        messages = [message.json for message in all_.of("events/events")]
    for message in messages:
        VALIDATOR.validate(message)
    told = [(message["after"]["track_id"], message["type"]) for message in messages]
    assert told == [(number, stage) for number in range(1, 101) for stage in ("new", "end")]
    assert all(message["after"]["has_clip"] for message in messages)
    assert not any(message.retained for message in all_.of("events/events"))
    assert (made.delivered, made.dropped, made.waiting) == (200, 0, 0)


def test_a_clip_is_promised_only_while_the_camera_is_recorded(broker: MosquittoBroker) -> None:
    control = StubControl(camera(recording=False))
    with (
        MqttListener(broker.port) as all_,
        notifier(broker.port, control, topic="clips") as made,
    ):
        made.event_changed(end())
        assert eventually(lambda: all_.of("clips/events"))
    assert not all_.of("clips/events")[0].json["after"]["has_clip"]


@pytest.mark.parametrize("wanted", [True, False])
def test_snapshots_are_told_where_they_are_wanted(broker: MosquittoBroker, wanted: bool) -> None:
    topic = f"snapshots{wanted}"
    with MqttListener(broker.port) as all_:
        control = StubControl(camera())
        with notifier(broker.port, control, topic=topic, snapshots=wanted) as made:
            assert eventually(lambda: made.connected)
            made.event_changed(replace(new(), picture=result(1)))
            assert eventually(lambda: all_.of(f"{topic}/events"))
        assert eventually(all_.holds(f"{topic}/available", b"offline")), "the last of all"
    assert all_.payloads(f"{topic}/yard/person/snapshot") == [JPEG] * wanted
    device = all_.of(f"homeassistant/device/{topic}/yard/config")[-1].json
    assert any(one["platform"] == "image" for one in device["components"].values()) == wanted


def test_commands_are_obeyed_and_their_effect_is_told(
    broker: MosquittoBroker, caplog: pytest.LogCaptureFixture
) -> None:
    control = StubControl(camera())
    with (
        MqttListener(broker.port) as all_,
        notifier(broker.port, control, topic="commands") as made,
    ):
        assert eventually(all_.holds("commands/yard/enabled/state", b"ON"))
        all_.send("commands/yard/enabled/set", "OFF")
        assert eventually(all_.holds("commands/yard/enabled/state", b"OFF"))
        assert eventually(all_.holds("commands/yard/status", b"paused"))
        all_.send("commands/yard/enabled/set", "on")
        assert eventually(all_.holds("commands/yard/enabled/state", b"ON"))
        all_.send("commands/yard/recordings/set", "OFF")
        assert eventually(all_.holds("commands/yard/recordings/state", b"OFF"))
        all_.send("commands/yard/recordings/set", "perhaps")
        all_.send("commands/nobody/enabled/set", "OFF")
        # Mosquitto refuses such a topic, others may not.
        made._receive("commands/\x1b[2J/enabled/set", b"OFF", retained=False)
        assert eventually(lambda: caplog.text.count("cannot be obeyed") == 3)
    assert control.commands[:3] == [
        ("yard", "pause", True),
        ("yard", "pause", False),
        ("yard", "record", False),
    ]
    assert "\x1b" not in caplog.text


def test_a_command_that_the_broker_kept_is_not_obeyed(broker: MosquittoBroker) -> None:
    control = StubControl(camera())
    with MqttListener(broker.port) as all_:
        all_.send("kept/yard/enabled/set", "OFF", retain=True)
        with notifier(broker.port, control, topic="kept"):
            assert eventually(all_.holds("kept/yard/status", b"live"))
            all_.send("kept/yard/recordings/set", "OFF")
            assert eventually(all_.holds("kept/yard/recordings/state", b"OFF"))
    assert control.commands == [("yard", "record", False)]


def test_cameras_that_are_gone_are_cleared_and_classes_of_before_count_none(
    broker: MosquittoBroker,
) -> None:
    control = StubControl(camera("yard"), camera("door"))
    with notifier(broker.port, control, topic="gone") as made, MqttListener(broker.port) as all_:
        made.camera_frame(result(0, found(1, "big dog")), 0.1)
        assert eventually(all_.holds("gone/yard/big_dog", b"1"))
        del control.cameras["door"]
        made.set_cameras({"yard": ()})
        assert eventually(all_.holds("gone/door/status", b""))
        assert eventually(all_.holds("homeassistant/device/gone/door/config", b""))
        assert all_.of("gone/yard/status")[-1].payload == b"live"
    with notifier(broker.port, control, topic="gone"), MqttListener(broker.port) as late:
        assert eventually(late.holds("gone/yard/big_dog", b"0")), "of the former run"
        assert eventually(
            lambda: "Big dog count" in str(late.of("homeassistant/device/gone/yard/config")[-1])
        )


def test_classes_of_the_settings_are_told_of_from_the_begin(broker: MosquittoBroker) -> None:
    with (
        notifier(broker.port, StubControl(camera()), {"yard": ["person"]}, topic="begin"),
        MqttListener(broker.port) as all_,
    ):
        assert eventually(all_.holds("begin/yard/person", b"0"))


def test_a_killed_program_is_offline_by_its_last_will(broker: MosquittoBroker) -> None:
    program = f"""
import time
from streamcam.config.notification_schema import MqttSettings
from streamcam.notifications.mqtt_notifier import MqttNotifier
from tests.notifications.conftest import StubControl, camera
made = MqttNotifier(MqttSettings(host="127.0.0.1", port={broker.port}, topic="will"), None)
made.start(StubControl(camera()), {{"yard": ()}})
time.sleep(600)
"""
    with MqttListener(broker.port, "will/#") as all_:
        process = subprocess.Popen([sys.executable, "-c", program])
        try:
            assert eventually(all_.holds("will/available", b"online"), 60)
            assert eventually(all_.holds("will/yard/status", b"live"))
        finally:
            process.kill()
            process.wait()
        assert eventually(all_.holds("will/available", b"offline"))
        # A will that comes late, of a connection that the broker had not noticed to be dead.
        with notifier(broker.port, StubControl(camera()), topic="will"):
            assert eventually(all_.holds("will/available", b"online"))
            all_.send("will/available", "offline", retain=True)
            assert eventually(all_.holds("will/available", b"online"))


def test_nothing_is_lost_when_the_broker_is_killed_ten_times(tmp_path: Path) -> None:
    """With messages on their way, and with events while it is dead; it forgets all each time.

    A door lets the notifier in only when somebody listens.
    """
    control, number = StubControl(camera()), 0
    told: list[tuple[int, str]] = []

    def happen() -> None:
        nonlocal number
        for _ in range(ENDS):
            number += 1
            made.event_changed(new(number))
            made.event_changed(update(number))
            made.event_changed(end(number))

    with (
        MosquittoBroker(tmp_path) as broker,
        Door(broker.port) as door,
        notifier(door.port, control, topic="killed") as made,
    ):
        for _ in range(10):
            with MqttListener(broker.port, "killed/#") as all_:
                door.open = True
                assert eventually(all_.holds("killed/available", b"online"))
                assert eventually(all_.holds("killed/yard/status", b"live"))
                happen()
                door.open = False
                broker.kill()
                assert all_.lost.wait(20)
                told += stages_of(all_)
            happen()
            broker.start()
        with MqttListener(broker.port, "killed/#") as all_:
            door.open = True
            assert eventually(lambda: (number, "end") in stages_of(all_))
            told += stages_of(all_)
        assert (made.dropped, made.waiting) == (0, 0)
    for stage in ("new", "end"):
        numbers = {track for track, told_stage in told if told_stage == stage}
        assert numbers == set(range(1, number + 1)), stage


def stages_of(listener: MqttListener) -> list[tuple[int, str]]:
    messages = [message.json for message in listener.of("killed/events")]
    return [(message["after"]["track_id"], message["type"]) for message in messages]


def test_a_broker_that_hangs_holds_nothing_up(
    broker: MosquittoBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither events, nor the end."""
    control = StubControl(camera())
    with notifier(broker.port, control, topic="hangs") as made:
        assert eventually(lambda: made.connected)
        broker.pause()
        try:
            for number in range(1, 101):
                made.event_changed(end(number))
            assert eventually(lambda: 80 <= made.waiting < 100), "few are on their way"
            began = time.monotonic()
            made.stop(0.5)
            assert time.monotonic() - began < 10
        finally:
            broker.resume()
    assert "MQTT: 100 changes of events could not be told" in caplog.text


def test_a_broker_that_is_away_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Of more events than there is room for, the ends are kept; the log has one line."""
    with notifier(1, StubControl(camera()), topic="away", snapshots=True) as made:
        for number in range(1, 1501):
            made.event_changed(replace(new(number), picture=result(1)))
            made.event_changed(update(number))
            made.event_changed(end(number))
        assert (made.waiting, made.dropped) == (2000, 2500)
        assert not made.connected
        assert not made._pictures
        assert eventually(lambda: "cannot be reached: Connection refused" in caplog.text)
        made.event_changed(end(1501))
    assert made.dropped == 4501
    assert caplog.text.count("cannot be reached") == 1
    assert "MQTT: 2000 changes of events could not be told" in caplog.text
