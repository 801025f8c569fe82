"""From what a user names to the inputs of a run and the names of their results."""

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from streamcam.errors import SourceError, UsageError
from streamcam.files import readable
from streamcam.fingerprint import identity_of
from streamcam.media_errors import opening
from streamcam.sources.base import FiniteSource
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.sources.media_names import is_media, natural_key, safe_name
from streamcam.sources.registry import kind_of
from streamcam.sources.remote_folder import remote_inputs
from streamcam.storage.services import SERVICES
from streamcam.urls import redacted_url, scheme_of

_NAMES = 4
"""Names that an input may have, at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One input of a run.

    Attributes:
        spec: What to open: a path or a URL; for `open_source` only, it may hold a password.
        stem: Name of its results, below the output folder and without ending, e.g. "dir/clip".
        longer_stems: Names for its results where another source has that one, the shortest first.
        shorter_stems: Names that it would have had without the other inputs of this run: results
            of an earlier run may be there.
    """

    spec: str
    stem: str
    longer_stems: tuple[str, ...] = ()
    shorter_stems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The input's name for people and records, without credentials."""
        return redacted(self.spec)

    @property
    def location(self) -> str:
        """The absolute path of a file, as text; a URL without credentials."""
        return self.id if _is_url(self.spec) else readable(self._absolute_path())

    def fingerprint(self) -> str | None:
        """Return a digest of the content as it is now; None where it is not known before reading.

        That is the content of a file, see `identity_of`, size and entity tag of an object in
        storage, which is not read, or the URL of a drawn scene.
        """
        if _is_url(self.spec):
            kind = kind_of(self.spec)
            return None if kind is None else kind.fingerprint(self.spec)
        try:
            return identity_of(self._absolute_path()).fingerprint
        except (OSError, ValueError):
            return None

    def _absolute_path(self) -> Path:
        # Not through a link to the file itself: its name stays while it leads to new files.
        path = _path(self.spec).absolute()
        return path.parent.resolve() / path.name


def open_source(spec: str, limits: Limits = DEFAULT_LIMITS) -> FiniteSource:
    """Open a path, a `file://` URL or a URL of a registered kind; raises `SourceError`s."""
    location = spec if _is_url(spec) else str(_path(spec))
    if not _is_url(spec) and _is_folder(Path(location)):
        raise _folder_error(Path(location))
    kind = kind_of(location)
    if kind is None:
        shown = redacted(spec)
        raise SourceError(
            f"{shown}: {scheme_of(spec)} streams cannot be read as files",
            hint=f"For a live stream: streamcam live {shown}",
        )
    return kind.open(location, limits)


class Inputs:
    """The inputs of a run: folders give the media in them, recursively, naturally sorted.

    Results of a folder's files mirror the tree below the folder. Results of a single file keep
    the folders of a relative path; those of an absolute one only its name. Where names would
    clash the file's ending is kept, then its folder, then all of its path. Names that results of
    other sources have from earlier runs are known only when results are written: see `Entry`.

    What is named twice is listed once. Nothing is opened: what is missing, or a folder without
    media, is an entry that fails to open. Files for which `is_result` returns True are results of
    an earlier run, and left out.

    The inputs are listed here to count them and to compare their names, and again by each
    iteration: 10 bytes an input are held, a hash of its name (and 40 at first). Two of 100,000
    names share a hash of 64 bits once in four billion runs. What was added since is left out.

    Args:
        specs: What the user named; iterated more than once.

    Raises:
        UsageError: A name is empty.
    """

    def __init__(
        self, specs: Iterable[str], is_result: Callable[[Path], bool] = lambda _: False
    ) -> None:
        self._specs = specs
        self._is_result = is_result
        hashes = array("Q")
        for _, names in self._listed():
            hashes.extend(_hash(name) for name in _padded(names))
        rows = np.frombuffer(hashes, np.uint64).reshape(-1, _NAMES)
        self._keys, first = np.unique(rows[:, -1], return_index=True)
        self._levels = _distinct(rows[first])

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Entry]:
        given = np.zeros(len(self._keys), bool)
        for spec, names in self._listed():
            key = np.uint64(_hash(names[-1]))
            place = int(np.searchsorted(self._keys, key))
            if place == len(self._keys) or self._keys[place] != key or given[place]:
                continue
            given[place] = True
            level = min(int(self._levels[place]), len(names) - 1)
            yield Entry(spec, names[level], names[level + 1 :], names[:level])

    def _listed(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for spec in self._specs:
            yield from _inputs(spec, self._is_result)


def expand(
    specs: Sequence[str], is_result: Callable[[Path], bool] = lambda _: False
) -> list[Entry]:
    """Return the inputs that specs stand for as a list, see `Inputs`."""
    return list(Inputs(specs, is_result))


def redacted(spec: str) -> str:
    """Return a path, or a URL without credentials and query; URLs that hold none stay whole."""
    kind = kind_of(spec) if _is_url(spec) else None
    public = not _is_url(spec) or (kind is not None and kind.public_url)
    return readable(spec) if public else redacted_url(spec)


def _inputs(spec: str, is_result: Callable[[Path], bool]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the inputs that a spec stands for, each with names for its results.

    The shortest name comes first; the last one is unique.
    """
    if not spec:
        raise UsageError("the name of a source is empty", hint="Is a variable of the shell unset?")
    if scheme_of(spec) in SERVICES:
        yield from remote_inputs(spec, is_result)
        return
    if _is_url(spec):
        parts = urlsplit(spec)
        name = parts.netloc.rpartition("@")[2] or parts.scheme
        yield spec, (safe_name(name), safe_name(f"{name}{parts.path}?{parts.query}"))
        return
    path = _path(spec)
    files = _media(path, set()) if _is_folder(path) else ()
    found = False
    for file in files:
        if not is_result(file):
            found = True
            yield str(file), _names(file, file.relative_to(path), path)
    if not found:
        outside = path.is_absolute() or ".." in path.parts or not path.name
        shown = Path(path.name.strip(".") or "source") if outside else path
        yield str(path), _names(path, shown, path.parent)


def _names(file: Path, shown: Path, above: Path) -> tuple[str, ...]:
    whole = file.resolve()
    return (
        shown.with_suffix("").as_posix(),
        shown.as_posix(),
        (above.resolve().name / shown).as_posix(),
        whole.relative_to(whole.anchor).as_posix(),
    )


def _media(folder: Path, visited: set[Path]) -> Iterator[Path]:
    """Yield a folder's media; links are followed, but into no folder twice.

    A folder that may not be read stands for itself, to fail when it is opened.
    """
    if folder.resolve() in visited:
        return
    visited.add(folder.resolve())
    try:
        children = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError:
        yield folder
        return
    for child in children:
        if child.name.startswith("."):
            continue
        if _is_folder(child):
            yield from _media(child, visited)
        elif is_media(child):
            yield child


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False


def _padded(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *names[-1:] * (_NAMES - len(names)))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest())


def _distinct(candidates: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return for each row the index of the first of its names that no other one has."""
    levels = np.zeros(len(candidates), np.uint8)
    rows = np.arange(len(candidates))
    while True:
        _, same, counts = np.unique(
            candidates[rows, levels], return_inverse=True, return_counts=True
        )
        clashing = (counts[same] > 1) & (levels < _NAMES - 1)
        if not clashing.any():
            return levels
        levels[clashing] += 1


def _is_url(spec: str) -> bool:
    return scheme_of(spec) not in (None, "file")


def _path(spec: str) -> Path:
    return Path(unquote(urlsplit(spec).path)) if scheme_of(spec) == "file" else Path(spec)


def _folder_error(folder: Path) -> SourceError:
    with opening(str(folder)):
        next(folder.iterdir(), None)
    if next(_media(folder, set()), None) is not None:
        return SourceError(f"{folder}: is a folder", hint="Name the files in it.")
    return SourceError(
        f"{folder}: no video or picture in this folder",
        hint="Files in folders are known by their endings, such as .mp4 or .jpg.",
    )
