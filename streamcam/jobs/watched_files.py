"""Watched folders: their inputs, events of the file system, and results left unfinished."""

import fcntl
import fnmatch
import hashlib
import os
import shutil
import signal
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from streamcam.config.schema import WatchSettings
from streamcam.errors import SinkError, UsageError
from streamcam.files import PART, FolderLock
from streamcam.fingerprint import FileStat
from streamcam.sinks.registry import is_result
from streamcam.sources.media_names import is_media

_TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", "~")
_PATH_DIGEST = 8

# Where it cannot be known whether a process still writes a file: far longer than a writer pauses.
_ABANDONED_SECONDS = 3600.0

# Modifications are not among them: a copy of 10 GB would be a flood. A file that was created is
# polled until it no longer changes.
_EVENTS: list[type[events.FileSystemEvent]] = [
    events.FileCreatedEvent,
    events.FileClosedEvent,
    events.FileMovedEvent,
    events.DirCreatedEvent,
    events.DirMovedEvent,
]


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder that is watched."""

    path: Path  # absolute, links resolved
    subfolder: str  # where its results go below the output folder; empty when it is the only one

    def stems(self, file: Path) -> list[str]:
        """Return names for a file's results, the shortest first.

        They are its path below this folder without extension, with it, and with a digest that no
        other file has.
        """
        relative = file.relative_to(self.path)
        digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:_PATH_DIGEST]
        unique = relative.with_name(f"{relative.name}~{digest}")
        names = (relative.with_suffix(""), relative, unique)
        return [f"{self.subfolder}/{name}".lstrip("/") for name in names]


def resolve_folders(paths: Sequence[Path], *, recursive: bool) -> list[WatchedFolder]:
    """Return the watched folders, each once; raises `UsageError` for a file or a nested folder."""
    resolved = list(dict.fromkeys(path.resolve() for path in paths))
    for path in resolved:
        if path.exists() and not path.is_dir():
            raise UsageError(
                f"{path} is not a folder", hint="Single files belong to `streamcam run`."
            )
        outer = next((other for other in resolved if other in path.parents), None)
        if recursive and outer is not None:
            raise UsageError(
                f"{path} lies inside {outer}, which is watched with all its folders",
                hint="Name the outer one only, or add --no-recursive.",
            )
    subfolders = [""] if len(resolved) == 1 else _unique_tails(resolved)
    return [WatchedFolder(*pair) for pair in zip(resolved, subfolders, strict=True)]


def _unique_tails(paths: Sequence[Path]) -> list[str]:
    """Return for each path its shortest tail that no other path ends with."""
    unique = []
    for path in paths:
        tails = ["/".join(path.parts[-length:]) for length in range(1, len(path.parts) + 1)]
        others = [f"/{other.as_posix().lstrip('/')}" for other in paths if other != path]
        fitting = (t for t in tails if not any(other.endswith(f"/{t}") for other in others))
        unique.append(next(fitting, tails[-1]).lstrip("/"))
    return unique


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files below a folder are inputs.

    `ignored` are streamcam's own folders: results, state, explained sources.
    """

    settings: WatchSettings
    ignored: Sequence[Path] = ()

    def wants_file(self, folder: Path, file: Path) -> bool:
        if is_temporary(file.name) or is_result(file):
            return False
        relative, include = file.relative_to(folder), self.settings.include
        if _matches(relative, self.settings.exclude):
            return False
        return _matches(relative, include) if include else is_media(file)

    def wants_folder(self, folder: Path, nested: Path) -> bool:
        if nested == folder:
            return True
        if not self.settings.recursive or nested.name.startswith(".") or nested in self.ignored:
            return False
        return not _matches(nested.relative_to(folder), self.settings.exclude)

    def reaches_folder(self, folder: Path, nested: Path) -> bool:
        """Like `wants_folder`, for all folders on the path from the watched one."""
        if not nested.is_relative_to(folder):
            return False
        depth = len(nested.relative_to(folder).parts)
        return all(self.wants_folder(folder, p) for p in (nested, *nested.parents)[:depth])

    def reaches_file(self, folder: Path, file: Path) -> bool:
        return self.reaches_folder(folder, file.parent) and self.wants_file(folder, file)


def _matches(relative: Path, patterns: Sequence[str]) -> bool:
    text = relative.as_posix()
    return any(
        fnmatch.fnmatchcase(text, pattern) or fnmatch.fnmatchcase(relative.name, pattern)
        for pattern in patterns
    )


def is_temporary(name: str) -> bool:
    return name.startswith((".", "~")) or name.lower().endswith(_TEMPORARY)


def scan(
    folder: Path, start: Path, selection: Selection, on_error: Callable[[Path, OSError], None]
) -> Iterator[tuple[Path, FileStat]]:
    """Yield the inputs in `start`, which is a watched folder or nested in it, and below.

    Inputs are regular files and links to them. Links to folders are not followed, so there are no
    loops. Nothing is opened. `on_error` is called with folders that cannot be read.
    """
    pending = [start]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = list(listing)
        except OSError as error:
            on_error(current, error)
            continue
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(entry):
                if selection.wants_folder(folder, path):
                    pending.append(path)
            elif selection.wants_file(folder, path):
                found = stat_regular(entry)
                if found is not None:
                    yield path, found


def stat_regular(entry: "os.DirEntry[str] | Path") -> FileStat | None:
    """Return the stat of a regular file or of a link to one; None for anything else."""
    try:
        result = entry.stat()
    except OSError:
        return None
    return FileStat.of(result) if stat.S_ISREG(result.st_mode) else None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_being_written(path: Path) -> bool | None:
    """Tell whether any process has the file open for writing; None where that cannot be known.

    Linux grants a read lease only on a file that nobody has open for writing, only to its owner and
    to root, and not on every file system. Raises `OSError` where the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A writer that comes while the lease is held is announced by a signal: one that is ignored
        # by default, instead of SIGIO, which would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


class FolderObserver(events.FileSystemEventHandler):
    """Watches folders through inotify.

    `on_path` is called, from a thread of the observer's, with what appeared or was closed, and
    whether it is a folder.
    """

    def __init__(self, on_path: Callable[[Path, bool], None], *, recursive: bool) -> None:
        self._on_path = on_path
        self._recursive = recursive
        self._observer: BaseObserver | None = None
        self._folders: dict[Path, tuple[ObservedWatch, tuple[int, int]]] = {}

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        path = event.dest_path or event.src_path
        self._on_path(Path(str(path)), event.is_directory)

    def watch(self, folder: Path) -> bool:
        """Watch a folder, again where it was replaced; return whether it was not watched before.

        Raises `OSError` where that is not possible or the kernel's limits are reached.
        """
        stat = folder.stat()
        inode = (stat.st_dev, stat.st_ino)
        handle, known_inode = self._folders.get(folder, (None, None))
        if handle is not None and known_inode == inode and self._is_alive(handle):
            return False
        self.unwatch(folder)
        handle = self._started_observer().schedule(
            self, str(folder), recursive=self._recursive, event_filter=_EVENTS
        )
        self._folders[folder] = handle, inode
        return True

    def unwatch(self, folder: Path) -> None:
        handle, _ = self._folders.pop(folder, (None, None))
        if handle is not None and self._observer is not None:
            self._observer.unschedule(handle)

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def _started_observer(self) -> BaseObserver:
        if self._observer is None:
            # Nested folders that appear together are reported twice: by the kernel, and by
            # watchdog's own scan. It warns of that, and handles it.
            warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer

    def _is_alive(self, handle: ObservedWatch) -> bool:
        assert self._observer is not None
        return any(
            emitter.watch == handle and emitter.is_alive() for emitter in self._observer.emitters
        )


def remove_unfinished_results(output: Path) -> list[Path]:
    """Remove files and folders of results that no process writes any more; return them."""
    return [path for path in _unfinished(output) if _remove_if_abandoned(path)]


def _unfinished(output: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(output):
        for name in (*names, *subfolders):
            path = Path(folder, name)
            if name.endswith(PART) and is_result(path):
                yield path
        subfolders[:] = [name for name in subfolders if not name.endswith(PART)]


def _remove_if_abandoned(path: Path) -> bool:
    if path.is_dir():
        return _remove_unlocked_folder(path)
    try:
        written = is_being_written(path)
        if written is None:
            written = time.time() - path.stat().st_mtime <= _ABANDONED_SECONDS
        if not written:
            path.unlink()
    except OSError:
        return False
    return not written


def _remove_unlocked_folder(folder: Path) -> bool:
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except SinkError:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    return not folder.exists()
