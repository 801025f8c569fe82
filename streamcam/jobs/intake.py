"""Finds the files of the watched folders and queues those that are complete."""

import errno
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from streamcam.clock import Clock
from streamcam.fingerprint import FileStat, identity_of
from streamcam.jobs.job_record import EnqueueResult, FileStatus
from streamcam.jobs.resources import OngoingConditions
from streamcam.jobs.store import JobStore
from streamcam.jobs.watched_files import (
    FolderObserver,
    Selection,
    WatchedFolder,
    is_being_written,
    scan,
    stat_regular,
)

_INOTIFY_LIMITS = (errno.ENOSPC, errno.EMFILE)

# A fingerprint of a long file took 1.6 ms from memory and 5 ms from a disk: a batch of this size
# keeps the job store from the runners for a third of a second.
_BATCH = 64


@dataclass(slots=True)
class _FolderState:
    folder: WatchedFolder
    next_scan: float = -inf
    scanned: bool = False
    has_events: bool = False
    events_lost: bool = False


@dataclass(slots=True)
class _Candidate:
    """A file that may not be complete yet.

    `expected`: an event, or a scan that replaces events, announced it. `busy`: it changed while it
    was checked.
    """

    state: _FolderState
    stat: FileStat
    wait: float
    due: float
    expected: bool
    busy: bool = False


class Intake:
    """Watches the folders; driven by `tick`, from one thread.

    Args:
        on_change: Called with a file that has changed while its job is running.
        wake: Called from another thread when something has happened.
    """

    def __init__(
        self,
        folders: Sequence[WatchedFolder],
        selection: Selection,
        store: JobStore,
        conditions: OngoingConditions,
        *,
        on_change: Callable[[Path], None] = lambda _: None,
        wake: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
        observer: Callable[..., FolderObserver] = FolderObserver,
    ) -> None:
        self._states = [_FolderState(folder) for folder in folders]
        self._selection = selection
        self._settings = selection.settings
        self._store = store
        self._conditions = conditions
        self._on_change = on_change
        self._wake = wake
        self._clock = clock or Clock()
        self._observer = observer(self._on_event, recursive=self._settings.recursive)
        self._events: deque[tuple[Path, bool]] = deque()
        self._candidates: dict[Path, _Candidate] = {}
        self._stopped = threading.Event()

    @property
    def waiting(self) -> int:
        return len(self._candidates)

    @property
    def busy(self) -> list[Path]:
        """The files that were being written or changed at a check."""
        return [path for path, candidate in self._candidates.items() if candidate.busy]

    def recheck(self, path: Path, *, wait: float | None = None) -> None:
        """Treat a file as new; it must not change for `wait` seconds, if not the usual time."""
        state = self._state_of(path)
        if state is not None:
            self._candidates.pop(path, None)
            self._check_path(state, path, wait=wait)

    def tick(self) -> float:
        """Do what is due; return the monotonic time at which something will be."""
        if self._events:
            with self._store.transaction():
                self._handle_events()
        for state in self._states:
            if self._clock.monotonic() >= state.next_scan:
                self._scan(state)
        self._check_due()
        dues = [candidate.due for candidate in self._candidates.values()]
        return min([*dues, *(state.next_scan for state in self._states)], default=inf)

    def rescan(self) -> None:
        """Scan all folders soon: a file that was found could not be stored."""
        for state in self._states:
            self._scan_within(state, self._settings.poll_interval)

    def stop(self) -> None:
        self._stopped.set()
        self._observer.stop()

    # Events

    def _on_event(self, path: Path, is_folder: bool) -> None:
        if not self._stopped.is_set():
            self._events.append((path, is_folder))
            self._wake()

    def _handle_events(self) -> None:
        while self._events:
            path, is_folder = self._events.popleft()
            state = self._state_of(path)
            if state is None:
                continue
            if is_folder:
                self._scan_new_folder(state, path)
            elif self._selection.reaches_file(state.folder.path, path):
                self._check_path(state, path)

    def _scan_new_folder(self, state: _FolderState, path: Path) -> None:
        """Scan a folder that appeared, and again when what is copied into it may be there.

        The kernel reports no files that came before it was asked to watch the folder.
        """
        folder = state.folder.path
        if self._selection.reaches_folder(folder, path):
            for file, stat in scan(folder, path, self._selection, lambda *_: None):
                self._consider(state, file, stat, expected=True)
            self._scan_within(state, self._settings.settle)

    def _scan_within(self, state: _FolderState, seconds: float) -> None:
        state.next_scan = min(state.next_scan, self._clock.monotonic() + seconds)

    def _state_of(self, path: Path) -> _FolderState | None:
        fitting = [state for state in self._states if path.is_relative_to(state.folder.path)]
        return max(fitting, key=lambda state: len(state.folder.path.parts), default=None)

    # Scans

    def _scan(self, state: _FolderState) -> None:
        events_began = self._ensure_events(state)
        failed: dict[Path, OSError] = {}
        folder = state.folder.path
        found = scan(folder, folder, self._selection, failed.__setitem__)
        by_age = sorted(found, key=lambda pair: (pair[1].mtime_ns, pair[0]))
        expected = events_began or not state.scanned
        with self._store.transaction():
            for path, stat in by_age:
                self._consider(state, path, stat, expected=expected)
        state.scanned = True
        self._log_failures(folder, failed)
        reliable = state.has_events and not state.events_lost and folder not in failed
        pause = self._settings.rescan if reliable else self._settings.poll_interval
        state.next_scan = self._clock.monotonic() + pause

    def _ensure_events(self, state: _FolderState) -> bool:
        """Make sure that events arrive; return whether they did not before."""
        if self._settings.poll:
            return False
        had_events, state.has_events = state.has_events, False
        folder = state.folder.path
        try:
            renewed = self._observer.watch(folder)
        except OSError as error:
            self._observer.unwatch(folder)
            if error.errno in _INOTIFY_LIMITS:
                self._conditions.begin(
                    ("limit", folder),
                    f"{folder}: the kernel watches no more folders ({error.strerror}); scanning "
                    f"every {self._settings.poll_interval:g} s instead. More: sysctl fs.inotify",
                    f"{folder}: the kernel watches it again",
                )
            return False
        self._conditions.end(("limit", folder))
        state.has_events = True
        return renewed or not had_events

    def _log_failures(self, folder: Path, failed: dict[Path, OSError]) -> None:
        kind = f"unreadable {folder}"
        for path, error in failed.items():
            self._begin_unreadable((kind, path), path, error)
        self._conditions.end_others(kind, {(kind, path) for path in failed})

    def _begin_unreadable(self, key: tuple[str, Path], path: Path, error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        self._conditions.begin(
            key, f"{path}: cannot be read now: {reason}", f"{path}: can be read again"
        )

    # Candidates

    def _check_path(self, state: _FolderState, path: Path, *, wait: float | None = None) -> None:
        stat = stat_regular(path)
        if stat is not None:
            self._consider(state, path, stat, expected=True)
            if wait is not None and path in self._candidates:
                self._candidates[path].wait = wait
                self._candidates[path].due = self._clock.monotonic() + wait

    def _consider(self, state: _FolderState, path: Path, stat: FileStat, *, expected: bool) -> None:
        candidate = self._candidates.get(path)
        if candidate is not None:
            candidate.expected |= expected
            return
        status = self._store.check_file(state.folder.path, path, stat)
        if status is not FileStatus.KNOWN:
            wait = self._settings.settle
            # Only a file that was not known proves that an event was lost.
            expected |= status is not FileStatus.NEW
            due = self._clock.monotonic() + wait
            self._candidates[path] = _Candidate(state, stat, wait, due, expected)

    def _check_due(self) -> None:
        now = self._clock.monotonic()
        due = [path for path, candidate in self._candidates.items() if candidate.due <= now]
        if not due:
            return
        with self._store.transaction():
            for path in due[:_BATCH]:
                self._check_complete(path, self._candidates[path])

    def _check_complete(self, path: Path, candidate: _Candidate) -> None:
        try:
            stat = stat_regular(path)
            if stat is None:
                self._candidates.pop(path)
                self._store.discard_file(path)
                return
            if stat != candidate.stat or is_being_written(path):
                self._wait_again(candidate, stat)
                return
            identity = identity_of(path)
        except OSError as error:
            # The next scan finds it again.
            self._candidates.pop(path)
            self._begin_unreadable(("unreadable", path), path, error)
            return
        self._conditions.end(("unreadable", path))
        if identity.stat != candidate.stat:
            self._wait_again(candidate, identity.stat)
            return
        stems = candidate.state.folder.stems(path)
        if self._store.enqueue(path, identity, stems) is EnqueueResult.RUNNING:
            self._wait_for_job(path, candidate)
            return
        self._candidates.pop(path)
        self._check_events(path, candidate)

    def _wait_again(self, candidate: _Candidate, stat: FileStat) -> None:
        candidate.stat = stat
        candidate.busy = True
        candidate.due = self._clock.monotonic() + candidate.wait

    def _wait_for_job(self, path: Path, candidate: _Candidate) -> None:
        status = self._store.check_file(candidate.state.folder.path, path, candidate.stat)
        if status is FileStatus.KNOWN:
            self._candidates.pop(path)
            return
        self._on_change(path)
        candidate.due = self._clock.monotonic() + candidate.wait

    def _check_events(self, path: Path, candidate: _Candidate) -> None:
        """Poll the folder from now on if the kernel did not report a file."""
        state = candidate.state
        if candidate.expected or not state.has_events or state.events_lost:
            return
        state.events_lost = True
        self._scan_within(state, self._settings.poll_interval)
        self._conditions.begin(
            ("events lost", state.folder.path),
            f"{state.folder.path}: {path.name} came without an event; scanning every "
            f"{self._settings.poll_interval:g} s from now on",
            "",
        )
