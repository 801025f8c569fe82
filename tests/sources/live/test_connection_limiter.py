"""Many live sources that connect at once: a few at a time, in order, and none given up for it."""

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from streamcam.clock import Clock
from streamcam.sources.limits import Limits
from streamcam.sources.live import Timeouts, live_source
from streamcam.sources.live.capture_connection import Address, CaptureConnection
from streamcam.sources.live.connection_limiter import ConnectionLimiter
from streamcam.types import CameraState
from tests.clocks import ManualClock
from tests.processes import PATIENCE, eventually
from tests.sources.live.viewer import watched

HOLD = 2.0


class Waiting:
    """Sources that wait for their turns, each in a thread of its own.

    Attributes:
        turns: Those that had one, in order; -1 for one that was cancelled.
    """

    def __init__(self, limiter: ConnectionLimiter) -> None:
        self.turns: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self._limiter = limiter
        self._threads: list[threading.Thread] = []

    def add(self, number: int) -> None:
        """Begin to wait; returns once it does."""
        asked = threading.Event()

        def cancelled() -> bool:
            asked.set()
            return number in self.cancelled

        def wait() -> None:
            self.turns.put(number if self._limiter.acquire(number, cancelled) else -1)

        self._threads.append(threading.Thread(target=wait))
        self._threads[-1].start()
        assert asked.wait(PATIENCE)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)


@contextmanager
def waiting(limiter: ConnectionLimiter, count: int) -> Iterator[Waiting]:
    made = Waiting(limiter)
    for number in range(count):
        made.add(number)
    yield made
    made.join()
    assert made.turns.empty()


def test_turns_come_in_order_and_two_at_a_time() -> None:
    limiter = ConnectionLimiter(2, HOLD, ManualClock())
    with waiting(limiter, 12) as sources:
        assert [sources.turns.get(timeout=PATIENCE) for _ in range(2)] == [0, 1]
        for number in range(12):
            assert sources.turns.empty()
            limiter.release(number)
            if number < 10:
                assert sources.turns.get(timeout=PATIENCE) == number + 2


def test_one_that_does_not_answer_keeps_its_turn_for_a_while_only() -> None:
    clock = ManualClock()
    limiter = ConnectionLimiter(1, HOLD, clock)
    with waiting(limiter, 3) as sources:
        for number in range(3):
            assert sources.turns.get(timeout=PATIENCE) == number
            clock.now += 100 * HOLD  # for its reader to start
            limiter.started(number)
            clock.now += HOLD - 0.01
            limiter.wake()
            assert sources.turns.empty()
            clock.now += 0.01
            limiter.wake()
        limiter.release(0)  # late


def test_one_that_is_cancelled_leaves_the_queue() -> None:
    limiter = ConnectionLimiter(1, HOLD, ManualClock())
    with waiting(limiter, 3) as sources:
        assert sources.turns.get(timeout=PATIENCE) == 0
        sources.cancelled.add(1)
        limiter.wake()
        assert sources.turns.get(timeout=PATIENCE) == -1
        limiter.release(0)
        assert sources.turns.get(timeout=PATIENCE) == 2


def test_an_interruption_ends_the_wait_for_a_turn() -> None:
    limiter = ConnectionLimiter(1, HOLD, ManualClock())
    assert limiter.acquire("another", lambda: False)
    with watched("testsrc2", format="lavfi", limiter=limiter) as viewer:
        assert viewer.source.status.state is CameraState.CONNECTING
    assert viewer.states == [CameraState.STOPPED]


class ThreadClock(threading.local, Clock):
    """Shows each thread a time of its own, which it sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_readers_that_are_slow_to_start_are_given_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each takes longer to start than its camera has to answer; two start at a time."""
    clock = ThreadClock()
    limiter = ConnectionLimiter(2, HOLD, ManualClock())
    starting: list[int] = []
    timeouts = Timeouts(opening=30.0)

    class SlowConnection(CaptureConnection):
        def __init__(
            self, name: str, address: Address, origin: float | None, limits: Limits
        ) -> None:
            starting.append(len(limiter._expiries))
            super().__init__(name, address, origin, limits)
            clock.now += 2 * timeouts.opening

    monkeypatch.setattr(live_source, "CaptureConnection", SlowConnection)
    camera = "testsrc2=size=64x48:rate=25"
    options = {"format": "lavfi", "limiter": limiter, "timeouts": timeouts, "clock": clock}
    with ExitStack() as stack:
        viewers = [stack.enter_context(watched(camera, **options)) for _ in range(12)]
        for viewer in viewers:
            assert eventually(lambda viewer=viewer: CameraState.LIVE in viewer.states)
    assert [viewer.source.status.connections for viewer in viewers] == [1] * 12
    assert not any(viewer.errors for viewer in viewers)
    assert len(starting) == 12
    assert max(starting) == 2
