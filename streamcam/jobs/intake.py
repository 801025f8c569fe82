"""Finds the files of the watched folders and tells the ledger which of them are whole."""

import errno
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from streamcam.clock import Clock
from streamcam.jobs.arrivals import Arrivals, FileStatus, Settled
from streamcam.jobs.conditions import OngoingConditions
from streamcam.jobs.folders import Folder, Selection, regular, scan
from streamcam.jobs.identity import Stat, identity_of, is_being_written
from streamcam.jobs.observer import FolderObserver

_LIMITS = (errno.ENOSPC, errno.EMFILE)

# A fingerprint of a long file took 1.6 ms from memory and 5 ms from a disk: so many at once keep
# the ledger from the runners for a third of a second.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Schedule:
    """When intake looks.

    Attributes:
        settle: Seconds that a file must stand still.
        rescan: Seconds between scans of a folder whose events come.
        poll: Seconds between scans of a folder whose events do not.
        events: Whether to ask the kernel for events at all.
    """

    settle: float
    rescan: float
    poll: float
    events: bool = True


@dataclass(slots=True)
class _Place:
    folder: Folder
    next_scan: float = -inf
    scanned: bool = False
    heard: bool = False
    deaf: bool = False


@dataclass(slots=True)
class _Candidate:
    place: _Place
    stat: Stat
    wait: float
    due: float
    announced: bool
    busy: bool = False


class Intake:
    """Looks at the folders; driven by `tick`, from one thread.

    Args:
        folders: What is watched.
        selection: Which files count.
        rhythm: When it looks.
        arrivals: The ledger.
        notices: Is told of what lasts.
        on_change: Called with a file whose job is running although it has changed.
        clock: Where the time comes from.
        observer: Makes the observer of events, given what to call with a path.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        selection: Selection,
        rhythm: Schedule,
        arrivals: Arrivals,
        notices: OngoingConditions,
        *,
        on_change: Callable[[Path], None] = lambda _: None,
        wake: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
        observer: Callable[..., FolderObserver] = FolderObserver,
    ) -> None:
        self._places = [_Place(folder) for folder in folders]
        self._selection = selection
        self._rhythm = rhythm
        self._arrivals = arrivals
        self._notices = notices
        self._on_change = on_change
        self._wake = wake
        self._clock = clock or Clock()
        self._observer = observer(self._hear, recursive=selection.recursive)
        self._heard: deque[tuple[Path, bool]] = deque()
        self._candidates: dict[Path, _Candidate] = {}
        self._stopped = threading.Event()

    @property
    def waiting(self) -> int:
        """How many files are not ready yet."""
        return len(self._candidates)

    @property
    def busy(self) -> list[Path]:
        """The files that were seen to be written or to change."""
        return [path for path, candidate in self._candidates.items() if candidate.busy]

    def touch(self, path: Path, *, wait: float | None = None) -> None:
        """Look at a file again, as if it had just come.

        Args:
            path: The file.
            wait: Seconds that it must stand still, if not the usual.
        """
        place = self._place_of(path)
        if place is not None:
            self._candidates.pop(path, None)
            self._look_at(place, path, announced=True, wait=wait)

    def tick(self) -> float:
        """Do what is due; return the monotonic time at which something will be.

        Raises:
            LedgerError: The ledger cannot be used.
            DiskFullError: There is no room for it.
        """
        if self._heard:
            with self._arrivals.together():
                self._take_heard()
        for place in self._places:
            if self._clock.monotonic() >= place.next_scan:
                self._scan(place)
        self._settle_due()
        dues = [candidate.due for candidate in self._candidates.values()]
        return min([*dues, *(place.next_scan for place in self._places)], default=inf)

    def rescan(self) -> None:
        """Scan all folders soon: something that was seen could not be noted."""
        soon = self._clock.monotonic() + self._rhythm.poll
        for place in self._places:
            place.next_scan = min(place.next_scan, soon)

    def stop(self) -> None:
        """Hear and see no more; safe to call twice."""
        self._stopped.set()
        self._observer.stop()

    # Hearing

    def _hear(self, path: Path, is_folder: bool) -> None:
        if not self._stopped.is_set():
            self._heard.append((path, is_folder))
            self._wake()

    def _take_heard(self) -> None:
        while self._heard:
            path, is_folder = self._heard.popleft()
            place = self._place_of(path)
            if place is None:
                continue
            if is_folder:
                self._scan_folder(place, path)
            elif self._selection.reaches_file(place.folder.path, path):
                self._look_at(place, path, announced=True)

    def _scan_folder(self, place: _Place, path: Path) -> None:
        """Look into a folder that appeared, and again when what is copied into it may be there.

        The kernel tells nothing of files that came before it was asked to watch the folder.
        """
        folder = place.folder.path
        if self._selection.reaches_folder(folder, path):
            for file, result in scan(folder, path, self._selection, lambda *_: None):
                self._consider(place, file, Stat.of(result), announced=True)
            place.next_scan = min(place.next_scan, self._clock.monotonic() + self._rhythm.settle)

    def _place_of(self, path: Path) -> _Place | None:
        fitting = [place for place in self._places if path.is_relative_to(place.folder.path)]
        return max(fitting, key=lambda place: len(place.folder.path.parts), default=None)

    # Scanning

    def _scan(self, place: _Place) -> None:
        began_to_hear = self._listen(place)
        failed: dict[Path, OSError] = {}
        folder = place.folder.path
        found = scan(folder, folder, self._selection, failed.__setitem__)
        by_age = sorted(found, key=lambda pair: (pair[1].st_mtime_ns, pair[0]))
        expected = began_to_hear or not place.scanned
        with self._arrivals.together():
            for path, result in by_age:
                self._consider(place, path, Stat.of(result), announced=expected)
        place.scanned = True
        self._tell_failures(place, failed)
        hears = place.heard and not place.deaf and folder not in failed
        pause = self._rhythm.rescan if hears else self._rhythm.poll
        place.next_scan = self._clock.monotonic() + pause

    def _listen(self, place: _Place) -> bool:
        """Make sure that events come; return whether they did not before."""
        if not self._rhythm.events:
            return False
        heard, place.heard = place.heard, False
        folder = place.folder.path
        try:
            renewed = self._observer.watch(folder)
        except OSError as error:
            self._observer.unwatch(folder)
            if error.errno in _LIMITS:
                self._notices.begin(
                    ("limit", folder),
                    f"{folder}: the kernel watches no more folders ({error.strerror}); looking "
                    f"every {self._rhythm.poll:g} s instead. More: sysctl fs.inotify",
                    f"{folder}: the kernel watches it again",
                )
            return False
        self._notices.end(("limit", folder))
        place.heard = True
        return renewed or not heard

    def _tell_failures(self, place: _Place, failed: dict[Path, OSError]) -> None:
        kind = f"unreadable {place.folder.path}"
        for path, error in failed.items():
            self._notices.begin(
                (kind, path),
                f"{path}: cannot be read now: {(error.strerror or str(error)).lower()}",
                f"{path}: can be read again",
            )
        self._notices.end_others(kind, {(kind, path) for path in failed})

    def _consider(self, place: _Place, path: Path, stat: Stat, *, announced: bool) -> None:
        candidate = self._candidates.get(path)
        if candidate is not None:
            candidate.announced |= announced
            return
        sight = self._arrivals.sight(place.folder.path, path, stat)
        if sight is not FileStatus.KNOWN:
            # Only a file that was not known proves that an event was lost.
            self._await(place, path, stat, announced=announced or sight is not FileStatus.NEW)

    def _look_at(
        self, place: _Place, path: Path, *, announced: bool, wait: float | None = None
    ) -> None:
        result = regular(path)
        if result is not None:
            self._consider(place, path, Stat.of(result), announced=announced)
            if wait is not None and path in self._candidates:
                self._candidates[path].wait = wait
                self._candidates[path].due = self._clock.monotonic() + wait

    def _await(self, place: _Place, path: Path, stat: Stat, *, announced: bool) -> None:
        wait = self._rhythm.settle
        due = self._clock.monotonic() + wait
        self._candidates[path] = _Candidate(place, stat, wait, due, announced)

    # Settling

    def _settle_due(self) -> None:
        now = self._clock.monotonic()
        due = [path for path, candidate in self._candidates.items() if candidate.due <= now]
        if not due:
            return
        with self._arrivals.together():
            for path in due[:_AT_ONCE]:
                self._settle(path, self._candidates[path])

    def _settle(self, path: Path, candidate: _Candidate) -> None:
        try:
            result = regular(path)
            if result is None:
                self._candidates.pop(path)
                self._arrivals.drop(path)
                return
            if Stat.of(result) != candidate.stat or is_being_written(path):
                self._wait_again(candidate, Stat.of(result))
                return
            identity = identity_of(path)
        except OSError as error:
            self._put_off(path, error)
            return
        self._notices.end(("unreadable", path))
        if identity.stat != candidate.stat:
            self._wait_again(candidate, identity.stat)
            return
        stems = candidate.place.folder.stems(path)
        if self._arrivals.settle(path, identity, stems) is Settled.BUSY:
            self._wait_for_job(path, candidate)
            return
        self._candidates.pop(path)
        self._check_hearing(path, candidate)

    def _wait_again(self, candidate: _Candidate, stat: Stat) -> None:
        candidate.stat = stat
        candidate.busy = True
        candidate.due = self._clock.monotonic() + candidate.wait

    def _wait_for_job(self, path: Path, candidate: _Candidate) -> None:
        """The file's job is running: end it if the file is not the one that it began with."""
        sight = self._arrivals.sight(candidate.place.folder.path, path, candidate.stat)
        if sight is FileStatus.KNOWN:
            self._candidates.pop(path)
            return
        self._on_change(path)
        candidate.due = self._clock.monotonic() + candidate.wait

    def _put_off(self, path: Path, error: OSError) -> None:
        """Leave a file that may not be read to the next scan."""
        self._candidates.pop(path)
        self._notices.begin(
            ("unreadable", path),
            f"{path}: cannot be read now: {(error.strerror or str(error)).lower()}",
            f"{path}: can be read again",
        )

    def _check_hearing(self, path: Path, candidate: _Candidate) -> None:
        place = candidate.place
        if candidate.announced or not place.heard or place.deaf:
            return
        place.deaf = True
        place.next_scan = min(place.next_scan, self._clock.monotonic() + self._rhythm.poll)
        self._notices.begin(
            ("deaf", place.folder.path),
            f"{place.folder.path}: {path.name} came without an event; looking every "
            f"{self._rhythm.poll:g} s from now on",
            "",
        )
