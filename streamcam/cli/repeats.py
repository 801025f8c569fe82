"""Says once a minute what happens a thousand times a minute, and how often it did.

A camera that is gone fails for weeks. Its first line appears at once; what follows within a period
is counted, and told by one line with the latest of them when the period is over. Nothing is lost
without being counted.
"""

import copy
import logging
from dataclasses import dataclass
from typing import TypeAlias

from streamcam.clock import Clock

PERIOD = 60.0
"""Seconds in which a fact is told once: a day of failures makes 1440 lines, some 200 kB."""

_ATTRIBUTE = "_streamcam_repeated"

# Who says what about what: logger, level, template, source.
_Fact: TypeAlias = tuple[str, int, str, object]


@dataclass(frozen=True, slots=True)
class Repeated:
    """More of the same that were not written.

    Attributes:
        count: How many.
        seconds: The time in which they happened.
    """

    count: int
    seconds: float


@dataclass(slots=True)
class _Period:
    began: float
    held: int = 0
    latest: logging.LogRecord | None = None


class Repeats(logging.Handler):
    """Stands before a handler and holds repetitions back.

    Two records are the same fact when logger, level and template are, and the `source` that was
    given as `extra`: two cameras that fail are two facts. Debug messages all pass.

    What is held back is told with the first record after its period, or when `turn` or `flush` is
    called.

    Args:
        target: Writes what passes.
        period: Seconds.
        clock: Measures them.
    """

    def __init__(
        self, target: logging.Handler, *, period: float = PERIOD, clock: Clock | None = None
    ) -> None:
        super().__init__()
        self._target = target
        self._period = period
        self._clock = clock or Clock()
        self._periods: dict[_Fact, _Period] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        self.turn()
        if record.levelno <= logging.DEBUG:
            self._target.handle(record)
            return
        period = self._periods.get(_fact(record))
        if period is None:
            self._periods[_fact(record)] = _Period(self._clock.monotonic())
            self._target.handle(record)
            return
        period.held += 1
        period.latest = record

    def turn(self) -> None:
        """Tell what is due; for a loop that comes round anyway, so that no line waits for long."""
        self._tell(self._period)

    def flush(self) -> None:
        """Tell all that was held back, due or not."""
        self._tell(0.0)
        self._target.flush()

    def close(self) -> None:
        """Tell all that was held back, and let go of the target."""
        self.flush()
        self._target.close()
        super().close()

    def _tell(self, age: float) -> None:
        """End the periods that are as old as that, in seconds."""
        self.acquire()
        try:
            now = self._clock.monotonic()
            for fact, period in list(self._periods.items()):
                if now - period.began >= age:
                    self._end(fact, period, now)
        finally:
            self.release()

    def _end(self, fact: _Fact, period: _Period, now: float) -> None:
        if period.latest is None:
            del self._periods[fact]
            return
        # The line that tells them is the first of the next period.
        self._periods[fact] = _Period(now)
        self._target.handle(_counted(period.latest, period.held - 1, now - period.began))


def repeated(record: logging.LogRecord) -> Repeated | None:
    """Return what a record stands for besides itself."""
    found: Repeated | None = getattr(record, _ATTRIBUTE, None)
    return found


def _fact(record: logging.LogRecord) -> _Fact:
    return record.name, record.levelno, str(record.msg), getattr(record, "source", None)


def _counted(record: logging.LogRecord, count: int, seconds: float) -> logging.LogRecord:
    if not count:
        return record
    # Other handlers may have the same record.
    changed = copy.copy(record)
    setattr(changed, _ATTRIBUTE, Repeated(count, seconds))
    return changed
