"""Objects are stored whole or not at all, and what is wrong is said in words."""

from pathlib import Path

import numpy as np
import pytest

from streamcam.errors import (
    SinkError,
    SinkUnavailableError,
    SourceUnavailableError,
    StreamcamError,
    UsageError,
)
from streamcam.storage import object_store, services
from streamcam.storage.object_store import (
    check_storage,
    children,
    delete_object,
    find_object,
    find_versions,
    put_object,
    stat_object,
)
from streamcam.storage.storage_errors import is_transient, reading_object, writing_object
from tests.servers.s3 import S3Server

PARTS = 3


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is uploaded in parts."""
    path = tmp_path / "large.bin"
    path.write_bytes(np.random.default_rng(1).bytes((PARTS - 1) * (8 << 20) + 12_345))
    return path


def test_large_files_go_in_parts_and_appear_at_once(s3: S3Server, large: Path) -> None:
    stored = put_object(large, s3.url("store/large.bin"))
    assert stored.size == large.stat().st_size
    assert stored == stat_object(s3.url("store/large.bin"))
    parts = [one for one in s3.requests("PUT", "store/large.bin") if "partNumber" in one.query]
    assert len(parts) == PARTS
    assert s3.get("store/large.bin") == large.read_bytes()
    s3.delete("store/large.bin")


def test_an_upload_that_fails_leaves_nothing(
    s3: S3Server, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_ATTEMPTS", 1)
    s3.refuse("PUT", 1, path="store/large.bin")
    with pytest.raises(SinkUnavailableError, match=r"large\.bin: the storage does not answer"):
        put_object(large, s3.url("store/large.bin"))
    assert s3.keys("store/large") == []
    assert s3.unfinished_uploads() == []


def test_one_part_that_fails_is_sent_again(s3: S3Server, large: Path) -> None:
    s3.refuse("PUT", 1, path="store/again.bin")
    put_object(large, s3.url("store/again.bin"))
    assert s3.get("store/again.bin") == large.read_bytes()
    assert s3.unfinished_uploads() == []
    s3.delete("store/again.bin")


def test_listings_of_several_pages(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"clip {number}.mp4" for number in range(25)]
    for name in names:
        s3.put(f"pages/{name}", b"")
    s3.put("pages/below/one.mp4", b"")
    files = services.file_system("s3://")
    ask = files.call_s3
    monkeypatch.setattr(files, "call_s3", lambda *args, **wanted: ask(*args, MaxKeys=10, **wanted))
    s3.forget()
    folders, objects = children(s3.url("pages"))
    assert folders == ["below"]
    assert sorted(objects) == sorted(names)
    assert len(s3.requests("GET")) == 3
    assert find_versions(s3.url("pages/below")).keys() == {"one.mp4"}


def test_objects_are_found_and_deleted(s3: S3Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    url = s3.url("store/a b#c?d.json")
    put_object(tmp_path / "a", url)
    assert find_object(url, 100) == b"0123456789"
    delete_object(url)
    delete_object(url)
    assert find_object(url, 100) is None
    assert find_versions(s3.url("store/nothing")) == {}


def test_missing_buckets_are_named(s3: S3Server, tmp_path: Path) -> None:
    check_storage(s3.url("any/prefix"))
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(SinkError, match="s3://no-such/x: cannot be written: there is no such"):
        put_object(tmp_path / "a", "s3://no-such/x")
    with pytest.raises(SinkError, match="there is no such bucket"):
        check_storage("s3://no-such/x")
    with pytest.raises(SourceUnavailableError, match="there is no such object"):
        stat_object("s3://no-such/x")


def test_services_that_are_not_installed_are_named() -> None:
    with pytest.raises(UsageError, match="gs:// needs gcsfs") as raised:
        stat_object("gs://bucket/x")
    assert raised.value.hint == "pip install 'streamcam[gcs]'"


class NoCredentialsError(Exception):
    """As botocore's."""


class ClientResponseError(Exception):
    """As aiohttp's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status} of https://host/x?token=hidden")
        self.status = status


class EndpointConnectionError(Exception):
    """As botocore's."""


@pytest.mark.parametrize(
    ("error", "passes", "said", "hint"),
    [
        (PermissionError("Forbidden"), False, "access is denied", "AWS_ACCESS_KEY_ID"),
        (NoCredentialsError(), False, "no credentials", "AWS_PROFILE"),
        (ClientResponseError(403), False, "access is denied", "AWS_PROFILE"),
        (ClientResponseError(404), False, "cannot be read: status 404 of https://host/x", ""),
        (ClientResponseError(503), True, "does not answer", "Run it again|run it again"),
        (ClientResponseError(429), True, "does not answer", ""),
        (EndpointConnectionError("no route"), True, "does not answer: no route", ""),
        (OSError(22, "InvalidRange"), False, "cannot be read", ""),
        (TimeoutError(), True, "does not answer: TimeoutError", ""),
    ],
)
def test_errors_in_words(error: Exception, passes: bool, said: str, hint: str) -> None:
    assert is_transient(error) is passes
    with (
        pytest.raises(SourceUnavailableError, match=said) as raised,
        reading_object("s3://bucket/x", "s3://bucket/x"),
    ):
        raise error
    if hint:
        assert any(part in str(raised.value.hint) for part in hint.split("|"))
    assert "hidden" not in str(raised.value)
    with pytest.raises(SinkError) as written, writing_object("s3://bucket/x"):
        raise error
    assert isinstance(written.value, SinkUnavailableError) is passes


def test_our_own_errors_pass() -> None:
    with pytest.raises(StreamcamError, match=r"^ours$"), writing_object("s3://bucket/x"):
        raise StreamcamError("ours")


def test_what_another_program_stores_in_between_is_replaced(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").write_bytes(b"ours")
    others = [b"of another program"]
    stat = object_store._stat

    def stat_later(url: str) -> object_store.ObjectStat | None:
        if others:
            s3.put("store/shared", others.pop())
        return stat(url)

    monkeypatch.setattr(object_store, "_stat", stat_later)
    stored = put_object(tmp_path / "own", s3.url("store/shared"))
    assert (stored.size, s3.get("store/shared")) == (4, b"ours")
    others += [b"again and again"] * 10
    with pytest.raises(SinkError, match="was not stored as it was sent"):
        put_object(tmp_path / "own", s3.url("store/shared"))
