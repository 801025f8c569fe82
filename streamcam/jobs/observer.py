"""The border to watchdog: what the kernel tells of the watched folders."""

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

# Changes are not among them: a copy of 10 GB would be a flood. A file that was created is looked
# at until it stands still.
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
class _Watch:
    handle: ObservedWatch
    inode: tuple[int, int]


class FolderObserver:
    """Watches folders through inotify, as far as the kernel can; a context manager's resource.

    Args:
        on_path: Called with what appeared or was closed, and whether it is a folder; from a thread
            of the observer's.
        recursive: Whether the folders below are watched too.
    """

    def __init__(self, on_path: Callable[[Path, bool], None], *, recursive: bool) -> None:
        self._handler = _Handler(on_path)
        self._recursive = recursive
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, _Watch] = {}

    def watch(self, folder: Path) -> bool:
        """Begin to watch a folder, or go on where it was replaced by another of its name.

        Returns:
            Whether it was not watched before.

        Raises:
            OSError: It is not there, may not be read, or the kernel's limits are reached.
        """
        stat = folder.stat()
        inode = (stat.st_dev, stat.st_ino)
        watch = self._watches.get(folder)
        if watch is not None and watch.inode == inode and self._lives(watch.handle):
            return False
        self.unwatch(folder)
        handle = self._started().schedule(
            self._handler, str(folder), recursive=self._recursive, event_filter=_EVENTS
        )
        self._watches[folder] = _Watch(handle, inode)
        return True

    def unwatch(self, folder: Path) -> None:
        """Stop to watch a folder, if it was watched."""
        watch = self._watches.pop(folder, None)
        if watch is not None and self._observer is not None:
            self._observer.unschedule(watch.handle)

    def stop(self) -> None:
        """Stop to watch everything; safe to call twice."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def _started(self) -> BaseObserver:
        if self._observer is None:
            # Folders that appear one in the other are reported twice: once by the kernel, once by
            # watchdog's own look. It warns of that, and does the right thing.
            warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer

    def _lives(self, handle: ObservedWatch) -> bool:
        assert self._observer is not None
        return any(
            emitter.watch == handle and emitter.is_alive() for emitter in self._observer.emitters
        )
