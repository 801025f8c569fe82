"""The only user of watchdog: file system events of the watched folders."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

# Modifications are not among them: a copy of 10 GB would be a flood. A file that was created is
# polled until it no longer changes.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class _Handler(FileSystemEventHandler):
    def __init__(self, on_path: Callable[[Path, bool], None]) -> None:
        self._on_path = on_path

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = event.dest_path or event.src_path
        self._on_path(Path(str(path)), event.is_directory)


@dataclass(frozen=True, slots=True)
class _ObservedFolder:
    handle: ObservedWatch
    inode: tuple[int, int]


class FolderObserver:
    """Watches folders through inotify.

    Args:
        on_path: Called with what appeared or was closed, and whether it is a folder; from a thread
            of the observer's.
        recursive: Whether nested folders are watched too.
    """

    def __init__(self, on_path: Callable[[Path, bool], None], *, recursive: bool) -> None:
        self._handler = _Handler(on_path)
        self._recursive = recursive
        self._observer: BaseObserver | None = None
        self._folders: dict[Path, _ObservedFolder] = {}

    def watch(self, folder: Path) -> bool:
        """Start watching a folder, again where it was replaced by another of its name.

        Returns:
            Whether it was not watched before.

        Raises:
            OSError: It is not there, may not be read, or the kernel's limits are reached.
        """
        stat = folder.stat()
        inode = (stat.st_dev, stat.st_ino)
        observed = self._folders.get(folder)
        if observed is not None and observed.inode == inode and self._is_alive(observed.handle):
            return False
        self.unwatch(folder)
        handle = self._started_observer().schedule(
            self._handler, str(folder), recursive=self._recursive, event_filter=_EVENTS
        )
        self._folders[folder] = _ObservedFolder(handle, inode)
        return True

    def unwatch(self, folder: Path) -> None:
        """Stop watching a folder, if it was watched."""
        observed = self._folders.pop(folder, None)
        if observed is not None and self._observer is not None:
            self._observer.unschedule(observed.handle)

    def stop(self) -> None:
        """Stop watching everything. Idempotent."""
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
