"""Holds work back while the disk that takes the results is nearly full."""

from pathlib import Path

from streamcam.clock import Clock
from streamcam.files import free_space
from streamcam.jobs.conditions import OngoingConditions

_MEGABYTE = 1_000_000

# After a write found no room, as much room as before will not do; yet what filled the disk may have
# been somebody else's. A minute between such attempts wastes little.
_PAUSE_SECONDS = 60.0


class DiskGuard:
    """Tells whether there is room to begin another job.

    Args:
        folder: Where results go; it may not exist yet.
        min_free: Megabytes that have to be free.
        notices: Is told when work is held back and when it goes on.
        clock: Where the time comes from.
    """

    def __init__(
        self, folder: Path, min_free: int, notices: OngoingConditions, clock: Clock
    ) -> None:
        self._folder = folder
        self._min_free = min_free * _MEGABYTE
        self._notices = notices
        self._clock = clock
        self._too_little = -1
        self._until = 0.0

    def free(self) -> int:
        """Return how many bytes are free where results go."""
        return free_space(self._folder)

    def has_room(self) -> bool:
        """Tell whether a job may begin; says once that it may not, and once that it may again."""
        free = self.free()
        if free < self._min_free or not self._enough(free):
            self._notices.begin(
                "disk",
                f"{self._folder}: no room for results ({free // _MEGABYTE} MB free); "
                "waiting until there is",
                f"{self._folder}: there is room again; going on",
            )
            return False
        self._too_little = -1
        self._notices.end("disk")
        return True

    def was_full(self, before: int) -> None:
        """Note that a job which began with so many bytes free found no room for its results."""
        self._too_little = max(self._too_little, before)
        self._until = self._clock.monotonic() + _PAUSE_SECONDS

    def _enough(self, free: int) -> bool:
        return free > self._too_little or self._clock.monotonic() >= self._until
