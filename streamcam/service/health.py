"""Whether the service makes progress: only then is systemd's watchdog fed.

A process that merely runs proves nothing: a forward pass can hang in a GPU's driver while every
other thread is well. What counts is work that gets done. Where there is no work, in idle folders
and before dead cameras, there is nothing to prove.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamcam.clock import Clock


@dataclass(frozen=True, slots=True)
class EngineGauge:
    """What is read off one engine; read from any thread, at once.

    Attributes:
        device: Where it runs, for people.
        busy: Tells whether frames wait for it or are in its hands. Loading a model is no work in
            hand: it may take minutes.
        finished: Counts the batches that it has finished, ever.
    """

    device: str
    busy: Callable[[], bool]
    finished: Callable[[], int]


class ProgressMonitor:
    """Judges from what the engines and the supervisor's loop have done since it last looked.

    For one thread, which is not the supervisor's own: it looks regularly, several times within
    `patience`.

    Args:
        engines: What is read off the engines.
        turned: Tells when the supervisor's loop last came round, on the clock's monotonic time.
        patience: Seconds that a batch, and a turn of the loop, may take. The slowest honest batch
            must fit.
        clock: Measures them.
    """

    def __init__(
        self,
        engines: Sequence[EngineGauge],
        turned: Callable[[], float],
        *,
        patience: float,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._patience = patience
        self._turned = turned
        self._engines = [_Engine(gauge, self._clock.monotonic()) for gauge in engines]

    def fault(self) -> str | None:
        """Return what is stuck, for people; None when all is well."""
        now = self._clock.monotonic()
        # Every engine is looked at every time, whatever was found before it.
        stuck = [engine.stuck(now, self._patience) for engine in self._engines]
        standing = now - self._turned()
        if standing > self._patience:
            return f"the supervisor has stood still for {standing:.0f} s"
        return next((fault for fault in stuck if fault is not None), None)


class _Engine:
    def __init__(self, gauge: EngineGauge, now: float) -> None:
        self._gauge = gauge
        self._finished = gauge.finished()
        self._well = now

    def stuck(self, now: float, patience: float) -> str | None:
        # Asked before the count: a batch that ends in between is then seen as progress.
        busy = self._gauge.busy()
        finished = self._gauge.finished()
        if not busy or finished != self._finished:
            self._finished, self._well = finished, now
        still = now - self._well
        if still <= patience:
            return None
        return f"the engine on {self._gauge.device} has work but finished none for {still:.0f} s"
