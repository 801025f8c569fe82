"""Pictures of many cameras in one answer: the newest, and only for those who look."""

import socket
import threading
import time

import cv2
import numpy as np
import orjson
import pytest

from streamcam.service.http import live_pictures
from tests.jobs.conftest import eventually
from tests.service.http.conftest import Answer, Serve
from tests.service.http.fake_status import FakeStatus, coloured

RED, GREEN, BLUE = [220, 20, 20], [20, 220, 20], [20, 20, 220]


def unpacked(answer: Answer) -> dict[str, tuple[int, list[float]]]:
    """Return the pictures' numbers and the colours of their upper right corners by camera."""
    assert answer.status == 200
    length = int.from_bytes(answer.body[:4], "big")
    begin, found = 4 + length, {}
    for head in orjson.loads(answer.body[4:begin]):
        jpeg = answer.body[begin : begin + head["bytes"]]
        begin += head["bytes"]
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        found[head["camera"]] = (head["number"], list(decoded[4:40, -60:-4].mean((0, 1))))
        assert 0 <= head["age"] < 60
    assert begin == len(answer.body)
    return found


def assert_shows(found: tuple[int, list[float]], number: int, colour: list[int]) -> None:
    assert found[0] == number
    np.testing.assert_allclose(found[1], colour, atol=30)


def test_the_newest_pictures_come_in_one_answer(fake: FakeStatus, serve: Serve) -> None:
    front, yard = fake.add("front"), fake.add("yard")
    fake.add("dark")
    for colour in (RED, GREEN):
        front.write(coloured(colour))
    yard.write(coloured(BLUE))
    ask = serve(fake)
    found = unpacked(ask("/api/live?front=0&yard=0&dark=0&nobody=0"))
    assert set(found) == {"front", "yard"}
    assert_shows(found["front"], 2, GREEN)
    assert_shows(found["yard"], 1, BLUE)
    assert set(unpacked(ask("/api/live?front=1&yard=1"))) == {"front"}
    assert front.encodings == yard.encodings == 1


def test_a_restarted_camera_is_shown_at_once(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front").write(coloured(RED))
    assert_shows(unpacked(serve(fake)("/api/live?front=500"))["front"], 1, RED)


def test_it_waits_for_a_newer_picture_and_skips_older_ones(fake: FakeStatus, serve: Serve) -> None:
    front = fake.add("front")
    front.write(coloured(RED))
    ask = serve(fake)
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(ask("/api/live?front=1")))
    asking.start()
    eventually(lambda: fake.is_watched("front"), "it is asked for")
    assert front.encodings == 0
    front.write(coloured(GREEN))
    asking.join(10)
    assert_shows(unpacked(answers[0])["front"], 2, GREEN)
    for colour in (RED, GREEN, BLUE):
        front.write(coloured(colour))
    assert_shows(unpacked(ask("/api/live?front=2"))["front"], 5, BLUE)
    assert front.encodings == 2


def test_a_response_is_empty_when_nothing_is_new(
    fake: FakeStatus, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_pictures, "MAX_WAIT_SECONDS", 0.2)
    fake.add("front").write(coloured(RED))
    assert unpacked(serve(fake)("/api/live?front=1")) == {}


def test_who_leaves_is_not_waited_for(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front")
    ask = serve(fake, max_clients=1)
    with socket.create_connection(("127.0.0.1", ask.port)) as watcher:
        watcher.sendall(b"GET /api/live?front=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: fake.is_watched("front"), "it is asked for")
    began = time.monotonic()
    eventually(lambda: ask("/api/status").status == 200, "its place is free")
    assert time.monotonic() - began < live_pictures.MAX_WAIT_SECONDS / 2


def test_one_cameras_picture_is_an_ordinary_jpeg(fake: FakeStatus, serve: Serve) -> None:
    front = fake.add("front")
    ask = serve(fake)
    front.write(coloured(RED))
    reply = ask("/api/cameras/front/picture")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert reply.headers["x-picture-number"] == "1"
    assert reply.headers["cache-control"] == "no-store"
    decoded = cv2.imdecode(np.frombuffer(reply.body, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (180, 320, 3)


def test_nonsense_is_refused(fake: FakeStatus, serve: Serve) -> None:
    ask = serve(fake)
    many = "&".join(f"c{index}=0" for index in range(live_pictures.MAX_CAMERAS + 1))
    for query in ("", "?front=x", f"?{many}", "?front="):
        assert ask(f"/api/live{query}").status == 422, query
