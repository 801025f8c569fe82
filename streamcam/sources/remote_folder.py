"""What lies below a prefix in object storage, listed as the files of a folder are."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from streamcam.errors import UsageError
from streamcam.sources.media_names import is_media, natural_key
from streamcam.sources.registry import known_suffix
from streamcam.storage.object_store import children, shown_url
from streamcam.storage.services import OBJECT_SCHEMES, service_of
from streamcam.urls import redacted_url, scheme_of

_PARTS = {"": "_", ".": "_", "..": "__"}
"""Parts of an object's name that no file can have, and what stands for them in results' names."""

_DIGEST_BYTES = 4


def remote_inputs(
    url: str, is_result: Callable[[Path], bool]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the URLs of the objects that a URL stands for, each with names for its results.

    That is the object of this name, or the media below the prefix, folder by folder in natural
    order. Names are as those of files, see `streamcam.sources.inputs`: the shortest first, the last
    one is unique. A listing is held one folder at a time. What has an empty part in its name
    (`a//b.mp4`) can be named, but is not listed.

    Raises:
        SourceUnavailableError: The storage does not answer, or has no such bucket.
        UsageError: The URL holds credentials, or what its storage needs is not installed.
    """
    _refuse_credentials(url)
    found = False
    if _may_be_folder(url):
        folder = url.rstrip("/")
        for path in _media(folder, "", is_result):
            found = True
            yield f"{folder}/{path}", _names(f"{folder}/{path}", path)
    if not found:
        yield url, _names(url, url.rstrip("/").rpartition("/")[2])


def _may_be_folder(url: str) -> bool:
    return scheme_of(url) in OBJECT_SCHEMES and not known_suffix(PurePosixPath(url))


def _media(folder: str, below: str, is_result: Callable[[Path], bool]) -> Iterator[str]:
    """Yield the names of media below a prefix, relative to it."""
    folders, objects = children(f"{folder}/{below}" if below else folder)
    wanted = {name: False for name in objects if is_media(PurePosixPath(name))}
    wanted |= {name: True for name in folders if name and not name.startswith(".")}
    del folders, objects
    for name in sorted(wanted, key=natural_key):
        path = f"{below}/{name}" if below else name
        if wanted[name]:
            yield from _media(folder, path, is_result)
        elif not is_result(Path(name)):
            yield path


def _names(url: str, shown: str) -> tuple[str, ...]:
    """Return the names for results of an object that was named, or found, as `shown`."""
    parts = urlsplit(url) if scheme_of(url) not in OBJECT_SCHEMES else None
    if parts is None:
        whole = url.partition("://")[2].rstrip("/")
    else:
        whole = f"{parts.netloc.rpartition('@')[2]}{unquote(parts.path)}"
        shown = whole.rstrip("/").rpartition("/")[2]
    above = whole.removesuffix(shown).rstrip("/").rpartition("/")[2]
    query = parts.query if parts is not None else ""
    unique = f"{whole}~{_digest(query)}" if query else whole
    short = str(PurePosixPath(_safe(shown)).with_suffix(""))
    return short, _safe(shown), _safe(f"{above}/{shown}"), _safe(unique)


def _safe(name: str) -> str:
    """Return a name whose parts can be those of a path below the output folder."""
    return "/".join(_PARTS.get(part, part) for part in name.split("/"))


def _digest(query: str) -> str:
    return hashlib.blake2b(query.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _refuse_credentials(url: str) -> None:
    place = url.partition("://")[2].partition("/")[0]
    # Azure's URLs name container and account like that.
    if scheme_of(url) in ("s3", "gs", "gcs") and "@" in place:
        raise UsageError(
            f"{redacted_url(shown_url(url))}: holds credentials", hint=service_of(url).access
        )
