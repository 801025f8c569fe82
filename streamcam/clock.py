"""Time, in one place, so that tests can replace it."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow; for intervals, deadlines and ages."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall-clock time, in UTC; for people and file names."""
        return datetime.now(UTC)
