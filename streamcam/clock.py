"""The clock of all packages, which tests replace."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)


def iso_utc(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds, e.g. "2025-03-01T12:00:00.250Z"."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
