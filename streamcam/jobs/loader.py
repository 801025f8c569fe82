"""The engine of a watcher: loaded when there is work, and again while it cannot be had."""

import threading
from collections.abc import Callable
from math import inf

from streamcam.clock import Clock
from streamcam.errors import StreamcamError
from streamcam.jobs.conditions import OngoingConditions
from streamcam.pipeline.engine_provider import EngineProvider

# Weights that cannot be fetched and GPUs that are taken come back in minutes, not in seconds.
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0


class Loader:
    """Loads the engine in a thread of its own, so that signals and folders are not kept waiting.

    Args:
        make: Makes a provider whose engine is not loaded yet.
        notices: Is told when it cannot be loaded and when it can.
        wake: Called when loading ended.
        clock: Where the time comes from.
        patient: Whether to try again when it cannot be had now.
    """

    def __init__(
        self,
        make: Callable[[], EngineProvider],
        notices: OngoingConditions,
        *,
        wake: Callable[[], None],
        clock: Clock,
        patient: bool,
    ) -> None:
        self._make = make
        self._notices = notices
        self._wake = wake
        self._clock = clock
        self._patient = patient
        self._lazy: EngineProvider | None = None
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None
        self._pause = _FIRST_PAUSE
        self._not_before = -inf

    def provider(self) -> EngineProvider | None:
        """Return the provider with its engine loaded; None while it is loading or unavailable.

        Raises:
            StreamcamError: It can never be had (no such model, weights of another one), or not now
                and the loader is not patient.
        """
        if self._thread is None:
            if self._clock.monotonic() >= self._not_before:
                self._begin()
            return None
        if self._thread.is_alive():
            return None
        if self._fault is not None:
            self._put_off(self._fault)
            return None
        self._notices.end("engine")
        return self._lazy

    def close(self, timeout: float) -> bool:
        """Let go of the engine; tell whether that could be done within so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        if self._lazy is not None:
            self._lazy.close()
        return True

    def _begin(self) -> None:
        self._lazy = self._make()
        self._fault = None
        self._thread = threading.Thread(target=self._load, name="streamcam loader", daemon=True)
        self._thread.start()

    def _load(self) -> None:
        assert self._lazy is not None
        try:
            self._lazy.pipeline()
        except Exception as error:  # noqa: BLE001 - raised in the thread that asks
            self._fault = error
        finally:
            self._wake()

    def _put_off(self, fault: Exception) -> None:
        if not (self._patient and isinstance(fault, StreamcamError) and fault.retryable):
            raise fault
        self._notices.begin(
            "engine",
            f"the detector cannot be loaded now: {fault.message}; trying again until it can",
            "the detector is loaded; going on",
        )
        self._thread = None
        self._not_before = self._clock.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
