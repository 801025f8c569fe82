"""Objects in storage: stat, list, read, write, delete; each request is repeated if need be."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from streamcam.errors import SinkError, SourceUnavailableError
from streamcam.retry import Backoff, retry
from streamcam.storage.services import OBJECT_SCHEMES, file_system, service_of
from streamcam.storage.storage_errors import is_transient, reading_object, writing_object
from streamcam.urls import redacted_url, scheme_of

_T = TypeVar("_T")

_ATTEMPTS = 5
"""Of a request. With the pauses between them a storage may be away for 4 to 8 seconds; after that
its source fails as retryable."""

_VERSIONS = ("crc32c", "md5Hash", "ETag", "etag", "Content-MD5", "Last-Modified", "last_modified")
"""Names that services give to what changes with an object's content: checksums first, which stay
the same where the content is written again."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a storage tells of an object without its content.

    Attributes:
        size: Bytes; None where the server does not tell.
        version: Differs where the content does: an entity tag or a checksum; "" if there is none.
    """

    size: int | None
    version: str

    @property
    def fingerprint(self) -> str | None:
        """A digest of version and size, 32 hexadecimal digits; None without a version."""
        if not self.version:
            return None
        return hashlib.blake2b(f"{self.version}\0{self.size}".encode(), digest_size=16).hexdigest()


def shown_url(url: str) -> str:
    """Return a URL for people: of a web server without user and query, which may be secrets."""
    return url if scheme_of(url) in OBJECT_SCHEMES else redacted_url(url)


def repeated(call: Callable[[], _T]) -> _T:
    """Return the result of a request, repeated while it fails with errors that pass."""
    return retry(call, is_transient, _ATTEMPTS, Backoff(0.5, 8.0))


def stat_object(url: str) -> ObjectStat:
    """Ask for an object's size and version: one request.

    Raises:
        SourceUnavailableError: It is not there, or the storage does not answer.
    """
    with reading_object(url, shown_url(url)):
        found = _stat(url)
    if found is None:
        raise SourceUnavailableError(
            f"{shown_url(url)}: there is no such object", hint="Check bucket and name."
        )
    return found


def children(url: str) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the objects right below a prefix, in any order.

    Raises:
        SourceUnavailableError: The storage does not answer, or has no such bucket.
    """
    files, path = file_system(url), _path(url).rstrip("/")
    folders: list[str] = []
    objects: list[str] = []
    with reading_object(url, shown_url(url)):
        for page in _pages(files, path):
            for name, is_folder in page:
                (folders if is_folder else objects).append(name)
    return folders, objects


def check_storage(url: str) -> None:
    """Raise `SinkError` where nothing can be stored below a prefix: no bucket, no access."""
    files, path = file_system(url), _path(url).partition("/")[0]
    with writing_object(url):
        repeated(lambda: files.info(path))


def put_object(local: Path, url: str) -> ObjectStat:
    """Store a file as an object, which appears whole or not at all; return its stat.

    Large files go in parts, which the storage joins at the end. The clients send checksums along
    (S3: CRC-32), and what has been stored is asked for its size: if another program has stored
    something else in the meantime, the file is sent again, as who is last has its way.

    Raises:
        SinkError: It cannot be stored.
    """
    files, path, service = file_system(url), _path(url), service_of(url)
    with writing_object(url):
        for _ in range(_ATTEMPTS):
            repeated(lambda: files.put_file(str(local), path, **service.upload))
            stored = _stat(url)
            if stored is not None and stored.size == local.stat().st_size:
                return stored
    raise SinkError(
        f"{url}: was not stored as it was sent", hint="Does another program write there?"
    )


def delete_object(url: str) -> None:
    """Delete an object, if it is there; raises `SinkError`."""
    files, path = file_system(url), _path(url)
    with writing_object(url):
        try:
            repeated(lambda: files.rm_file(path))
        except FileNotFoundError:
            return


def find_object(url: str, limit: int) -> bytes | None:
    """Return a result's content, at most `limit` bytes; None where there is none.

    Raises:
        SinkError: The storage does not answer.
    """
    files, path = file_system(url), _path(url)
    with writing_object(url):
        try:
            content: bytes = repeated(lambda: files.cat_file(path, start=0, end=limit))
        except FileNotFoundError:
            return None
    return content


def find_version(url: str) -> str | None:
    """Return the version of an object; None where there is none. Raises `SinkError`."""
    with writing_object(url):
        found = _stat(url)
    return None if found is None else found.version


def find_versions(url: str) -> dict[str, str]:
    """Return the versions of the objects right below a prefix by name; raises `SinkError`."""
    files, path = file_system(url), _path(url)
    with writing_object(url):
        try:
            found = repeated(lambda: files.ls(path, detail=True))
        except FileNotFoundError:
            return {}
    objects = (one for one in found if one["type"] == "file" and one["name"].rstrip("/") != path)
    return {one["name"].rsplit("/", 1)[-1]: _stat_of(one).version for one in objects}


def _stat(url: str) -> ObjectStat | None:
    files, path = file_system(url), _path(url)
    try:
        found: Mapping[str, Any] = repeated(lambda: files.info(path))
    except FileNotFoundError:
        return None
    if found.get("type") == "directory":
        return None
    return _stat_of(found)


def _stat_of(found: Mapping[str, Any]) -> ObjectStat:
    version = next((str(found[name]) for name in _VERSIONS if found.get(name)), "")
    return ObjectStat(found.get("size"), version.strip('"'))


def _pages(files: Any, path: str) -> Iterator[Iterator[tuple[str, bool]]]:  # noqa: ANN401
    """Yield names below a prefix, and whether they are folders, a page at a time."""
    if not hasattr(files, "call_s3"):
        found = repeated(lambda: files.ls(path, detail=True))
        yield ((one["name"].rsplit("/", 1)[-1], one["type"] == "directory") for one in found)
        return
    # Its `ls` holds a thousand bytes for each object: 100 MB for a folder of 100,000.
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
    while True:
        answer = repeated(lambda: files.call_s3("list_objects_v2", **request))
        yield ((one["Key"].removeprefix(prefix), False) for one in answer.get("Contents", ()))
        folders = answer.get("CommonPrefixes", ())
        yield ((one["Prefix"].removeprefix(prefix).rstrip("/"), True) for one in folders)
        if not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]


def _path(url: str) -> str:
    """Return the name by which fsspec's file system knows an object."""
    if scheme_of(url) not in OBJECT_SCHEMES:
        return url
    return url.partition("://")[2]
