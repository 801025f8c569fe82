"""Published weights: fetched once, checked, kept where torchvision keeps them."""

import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import torch

from streamcam.errors import WeightsError, WeightsUnavailableError
from streamcam.retry import Backoff, retry

Progress = Callable[[str, int, int | None], None]
"""Called while a file is fetched with its name, the bytes so far, and all bytes if known."""

_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 4
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _CutOffError(OSError):
    """The connection ended before the file did."""


class _ChecksumError(OSError):
    """The file is whole, and not the one that was published."""


_PASSING = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    _CutOffError,
    _ChecksumError,
)


def cache_folder() -> Path:
    """Where torchvision keeps the weights that it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_file(url: str) -> Path:
    return cache_folder() / url.rsplit("/", 1)[-1]


def published_file(url: str, model: str, progress: Progress | None = None) -> tuple[Path, str]:
    """The weights of a URL from the cache, fetched if they are not there.

    Args:
        url: Its file name ends in the first digits of its SHA-256, as torchvision's do.
        model: Whose weights they are, for messages.
        progress: Called with the bytes fetched.

    Returns:
        The file and its SHA-256.

    Raises:
        WeightsUnavailableError: They are not here and cannot be fetched.
        WeightsError: The file in the cache is damaged.
    """
    path = cached_file(url)
    if not path.exists():
        _fetch_or_explain(url, path, model, progress)
    digest = sha256(path)
    if not digest.startswith(published_digest(path.name)):
        raise WeightsError(
            f"{path} is damaged: its checksum is not the one in its name",
            hint="Delete it; it will be fetched again.",
        )
    return path, digest


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def published_digest(name: str) -> str:
    """The first digits of the SHA-256 of a published file, which end its name."""
    match = re.search(r"-([0-9a-f]{8,})\.", name)
    return match[1] if match else ""


def _fetch_or_explain(url: str, path: Path, model: str, progress: Progress | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        retry(lambda: _fetch(url, path, progress), _is_passing, _ATTEMPTS, Backoff(0.1, 5.0))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsUnavailableError(
            f"the weights of {model} are not here and cannot be fetched: "
            f"{without_number(str(reason))}",
            hint=f"Put {url} into {path.parent}, or use the built-in detector nano, which needs "
            "no download.",
        ) from error


def without_number(reason: str) -> str:
    """Return an error of the system for people: `[Errno 111] Connection refused` without number."""
    return _ERROR_NUMBER.sub("", reason)


def _is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING_STATUS
    return isinstance(error, _PASSING)


def _fetch(url: str, path: Path, progress: Progress | None) -> None:
    """Download to a `.part` file beside `path`, resuming an earlier attempt.

    Of several processes that need the file one downloads it; the others wait for that.
    """
    part = path.with_name(path.name + ".part")
    with _locked(part) as file:
        if path.exists():
            part.unlink(missing_ok=True)
            return
        _append_rest(url, file, path.name, progress)
        file.flush()
        os.fsync(file.fileno())
        if not sha256(part).startswith(published_digest(path.name)):
            part.unlink()
            raise _ChecksumError("what arrived has another checksum than was published")
        part.replace(path)


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open a file for appending, in one process at a time; the lock ends with the process."""
    while True:
        with part.open("ab") as file:
            with suppress(OSError):  # a file system without locks: downloads may then collide
                fcntl.flock(file, fcntl.LOCK_EX)
            # The process that had the lock may have renamed or removed the file.
            if _is_at(part, file):
                yield file
                return


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        raise
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


def _append_rest(url: str, file: BinaryIO, name: str, progress: Progress | None) -> None:
    done = file.tell()
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 -- torchvision's own URLs
    try:
        answer = _open(request)
    except urllib.error.HTTPError as error:
        if done and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # Nothing is left to fetch; the checksum tells whether it is right.
        raise
    with answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)
            done = 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(name, done, total)
    if total is not None and done < total:
        raise _CutOffError(f"the connection ended after {done} of {total} bytes")
