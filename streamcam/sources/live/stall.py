"""When a connection counts as stalled, and when it is given up."""

from dataclasses import dataclass

from streamcam.errors import SourceUnavailableError

# A camera of one frame in ten seconds has not stalled after three: so many of its usual steps.
_STEPS = 3.0
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a live source is waited for.

    Attributes:
        opening: Seconds that it gets to answer.
        reading: Seconds without any data after which the connection is given up.
        picture: Seconds without a picture, though data comes in, after which it is given up. Some
            cameras send a key frame only every half minute.
        stall: Seconds without a picture after which it counts as stalled.
    """

    opening: float = 10.0
    reading: float = 10.0
    picture: float = 60.0
    stall: float = 3.0


class StallDetector:
    """Follows one connection; all moments are monotonic seconds.

    Args:
        name: The source's name for people.
        patience: How long it is waited for.
        now: When the connection was begun.
    """

    def __init__(self, name: str, patience: Timeouts, now: float) -> None:
        self._name = name
        self._patience = patience
        self._opened = False
        self._data = self._picture = now
        self._decoded = 0
        self._step = 0.0

    @property
    def live(self) -> bool:
        """Whether a picture has come."""
        return self._decoded > 0

    def opened(self, now: float) -> None:
        """Note that the source answers."""
        self._opened = True
        self._data = self._picture = now

    def heard(self, decoded: int, now: float) -> None:
        """Note that data came in, and how many frames were decoded by now."""
        self._data = now
        new = decoded - self._decoded
        if new > 0:
            step = (now - self._picture) / new
            self._step += (step - self._step) * (_WEIGHT if self.live else 1.0)
            self._picture, self._decoded = now, decoded

    def stalled(self, now: float) -> bool:
        """Tell whether pictures came, but none for too long."""
        return self.live and now >= self._stalls

    def left(self, now: float) -> float:
        """Return the seconds until something has to be done."""
        moments = [self._limit[0]]
        if self.live and now < self._stalls:
            moments.append(self._stalls)
        return max(0.0, min(moments) - now)

    def check(self, now: float) -> None:
        """Give up where it is time.

        Raises:
            SourceUnavailableError: The source said nothing for too long.
        """
        moment, reason = self._limit
        if now >= moment:
            raise SourceUnavailableError(f"{self._name}: {reason}")

    @property
    def _stalls(self) -> float:
        return self._picture + max(self._patience.stall, _STEPS * self._step)

    @property
    def _limit(self) -> tuple[float, str]:
        """The moment at which the connection is given up, and why."""
        patience = self._patience
        if not self._opened:
            return self._data + patience.opening, f"did not answer for {patience.opening:g} s"
        return min(
            (self._data + patience.reading, f"sent nothing for {patience.reading:g} s"),
            (self._picture + patience.picture, f"sent no picture for {patience.picture:g} s"),
        )
