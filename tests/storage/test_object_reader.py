"""Objects read by ranges: the bytes are those stored, and few of them are fetched."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from streamcam.errors import SourceUnavailableError
from streamcam.storage import object_store
from streamcam.storage.object_reader import BLOCK, MOST_AHEAD, RemoteObject
from tests.servers.s3 import S3Server
from tests.servers.tcp import Door

CONTENT = np.random.default_rng(1).bytes(40 * BLOCK + 1234)
KEY = "reader/random numbers.bin"


@pytest.fixture(scope="module")
def stored(s3_server: S3Server) -> Iterator[str]:
    yield s3_server.put(KEY, CONTENT)
    s3_server.delete(KEY)


def test_any_part_is_the_one_stored(s3: S3Server, stored: str) -> None:
    reader = RemoteObject(stored).reader()
    dice = np.random.default_rng(2)
    for place in dice.integers(0, len(CONTENT), 30):
        size = int(dice.integers(1, BLOCK))
        assert reader.seek(int(place)) == place
        part = reader.read(size)
        assert part == CONTENT[place : place + len(part)]
        assert part
    assert reader.seek(-10, os.SEEK_END) == len(CONTENT) - 10
    assert reader.read(100) == CONTENT[-10:]
    assert reader.read(100) == b""
    del s3


def test_straight_reading_takes_few_requests_and_every_byte_once(s3: S3Server, stored: str) -> None:
    content = RemoteObject(stored)
    reader, behind = content.reader(), content.reader()
    whole, second = bytearray(), bytearray()
    while part := reader.read(100_000):
        whole += part
        if len(whole) > 10 * BLOCK:
            second += behind.read(100_000)
    assert bytes(whole) == CONTENT
    assert bytes(second) == CONTENT[: len(second)]
    gets = s3.requests("GET", "reader/")
    assert sum(one.sent for one in gets) == len(CONTENT)
    assert len(gets) < 10
    assert max(one.sent for one in gets) == MOST_AHEAD * BLOCK


def test_a_busy_server_is_asked_again(s3: S3Server, stored: str) -> None:
    reader = RemoteObject(stored).reader()
    s3.refuse("GET", 2, path="reader/")
    assert reader.read(10) == CONTENT[:10]
    assert [one.status for one in s3.requests("GET", "reader/")] == [503, 503, 206]


def test_a_server_that_stays_busy_is_given_up(
    s3: S3Server, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_ATTEMPTS", 2)
    reader = RemoteObject(stored).reader()
    s3.refuse("GET", 2, path="reader/")
    with pytest.raises(SourceUnavailableError, match=r"random numbers\.bin: .*does not answer"):
        reader.read(10)
    assert len(s3.requests("GET", "reader/")) == 2


def test_a_network_that_comes_back_costs_nothing(
    s3: S3Server, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Door(s3.port) as door:
        door.open = True
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{door.port}")
        fresh_clients(monkeypatch)
        reader = RemoteObject(stored).reader()
        door.open = False
        door.cut()
        monkeypatch.setattr(object_store, "Backoff", opening(door))
        assert reader.read(10) == CONTENT[:10]
        assert door.accepted > 1


def test_an_object_that_is_replaced_is_not_read_half_and_half(s3: S3Server) -> None:
    url = s3.put("reader/replaced", CONTENT)
    reader = RemoteObject(url).reader()
    assert reader.read(10) == CONTENT[:10]
    s3.put("reader/replaced", CONTENT[::-1])
    reader.seek(20 * BLOCK)
    with pytest.raises(SourceUnavailableError, match="replaced while it was read"):
        reader.read(10)
    s3.delete("reader/replaced")


def test_an_interrupted_object_gives_nothing_more(s3: S3Server, stored: str) -> None:
    content = RemoteObject(stored)
    content.interrupt()
    assert content.reader().read(10) == b""
    assert not s3.requests("GET", "reader/")


def fresh_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fsspec make a client of its own for this test."""
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "cachable", False)


def opening(door: Door) -> type[object_store.Backoff]:
    class OpeningBackoff(object_store.Backoff):
        """Opens the door during the first pause."""

        def next(self) -> float:
            door.open = True
            return 0.05

    return OpeningBackoff
