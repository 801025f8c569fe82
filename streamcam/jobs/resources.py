"""What jobs depend on: a loaded engine, free space, and the log of what is missing meanwhile."""

import threading
from collections.abc import Callable, Hashable
from math import inf
from pathlib import Path

from streamcam.clock import Clock
from streamcam.errors import StreamcamError
from streamcam.files import free_space
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.retry import Backoff
from streamcam.sinks.base import EngineKey

# Weights that cannot be fetched and GPUs that are taken come back in minutes, not in seconds.
_FIRST_LOAD_PAUSE = 5.0
_LONGEST_LOAD_PAUSE = 300.0

_MEGABYTE = 1_000_000

# After a write found no space, as much space as before will not do; yet what filled the disk may
# have been somebody else's. A minute between such attempts wastes little.
_DISK_FULL_SECONDS = 60.0


class OngoingConditions:
    """Logs each lasting condition once at its start and once at its end."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._end_texts: dict[Hashable, str] = {}

    def begin(self, key: Hashable, text: str, end_text: str) -> None:
        """Log that a condition holds, unless that was logged; `end_text` is for its end."""
        if key not in self._end_texts:
            self._log(text)
        self._end_texts[key] = end_text

    def end(self, key: Hashable) -> None:
        text = self._end_texts.pop(key, None)
        if text is not None:
            self._log(text)

    def end_others(self, kind: str, ongoing: set[Hashable]) -> None:
        """End the conditions with a key `(kind, ...)` that is not among these."""
        for key in list(self._end_texts):
            if isinstance(key, tuple) and key[0] == kind and key not in ongoing:
                self.end(key)


class EngineLoader:
    """Loads the engine in a thread, so that it blocks neither signals nor folders.

    Args:
        wake: Called when loading has ended, from the loader's thread.
        patient: Whether to try again when it cannot be loaded now.
    """

    def __init__(
        self,
        make_provider: Callable[[], EngineProvider],
        conditions: OngoingConditions,
        *,
        wake: Callable[[], None],
        clock: Clock,
        patient: bool,
        backoff: Backoff | None = None,
    ) -> None:
        self._make_provider = make_provider
        self._conditions = conditions
        self._wake = wake
        self._clock = clock
        self._patient = patient
        self._backoff = backoff or Backoff(_FIRST_LOAD_PAUSE, _LONGEST_LOAD_PAUSE)
        self._provider: EngineProvider | None = None
        self._key: EngineKey | None = None
        self._loaded = False
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None
        self._not_before = -inf

    def provider(self) -> EngineProvider | None:
        """Return the provider of a loaded engine; None while it is loading or cannot be loaded.

        Raises `StreamcamError` where it can never be loaded (no such model, weights of another
        one), or not now and the loader is not patient.
        """
        self._settle()
        if not self._loaded:
            self._start(self._load)
            return None
        return self._provider

    @property
    def engines(self) -> int:
        """How many engines work side by side, as far as that is known."""
        return 1 if self._provider is None else self._provider.engines

    def key(self) -> EngineKey | None:
        """Return the engine's key, which may take no loading; otherwise like `provider`."""
        self._settle()
        if self._key is None:
            self._start(self._find_key)
        return self._key

    def close(self, timeout: float) -> bool:
        """Release the engine; return False if it was still loading after `timeout` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        if self._provider is not None:
            self._provider.close()
        return True

    def _start(self, work: Callable[[EngineProvider], None]) -> None:
        """Start some work in a thread, unless one is running or a pause is not over."""
        if self._thread is not None or self._clock.monotonic() < self._not_before:
            return
        if self._provider is None or self._fault is not None:
            self._provider = self._make_provider()
        self._fault = None
        self._thread = threading.Thread(
            target=self._run,
            args=(work, self._provider),
            name="streamcam engine loader",
            daemon=True,
        )
        self._thread.start()

    def _run(self, work: Callable[[EngineProvider], None], provider: EngineProvider) -> None:
        try:
            work(provider)
        except Exception as error:  # noqa: BLE001 - raised in the thread that asks for the engine
            self._fault = error
        finally:
            self._wake()

    def _load(self, provider: EngineProvider) -> None:
        provider.pipeline()
        self._loaded = True

    def _find_key(self, provider: EngineProvider) -> None:
        self._key = provider.key()

    def _settle(self) -> None:
        """Deal with how the work in the thread ended, if it did."""
        if self._thread is None or self._thread.is_alive():
            return
        self._thread = None
        if self._fault is not None:
            self._retry_later(self._fault)
        else:
            self._conditions.end("engine")

    def _retry_later(self, fault: Exception) -> None:
        if not (self._patient and isinstance(fault, StreamcamError) and fault.retryable):
            raise fault
        self._conditions.begin(
            "engine",
            f"the detector cannot be loaded now: {fault.message}; trying again until it can",
            "the detector is loaded; going on",
        )
        self._not_before = self._clock.monotonic() + self._backoff.next()


class DiskGuard:
    """Holds jobs back while the disk of the output folder has less than `min_free` bytes free."""

    def __init__(
        self, folder: Path, min_free: int, conditions: OngoingConditions, clock: Clock
    ) -> None:
        self._folder = folder
        self._min_free = min_free
        self._conditions = conditions
        self._clock = clock
        self._too_little = -1
        self._until = 0.0

    def free_space(self) -> int:
        return free_space(self._folder)

    def has_space(self) -> bool:
        free = self.free_space()
        if free < self._min_free or not self._is_enough(free):
            self._conditions.begin(
                "disk",
                f"{self._folder}: too little space for results ({free // _MEGABYTE} MB free); "
                "waiting until there is",
                f"{self._folder}: there is space again; going on",
            )
            return False
        self._too_little = -1
        self._conditions.end("disk")
        return True

    def report_full(self, before: int) -> None:
        """Note that a job which started with `before` free bytes found no space."""
        self._too_little = max(self._too_little, before)
        self._until = self._clock.monotonic() + _DISK_FULL_SECONDS

    def _is_enough(self, free: int) -> bool:
        return free > self._too_little or self._clock.monotonic() >= self._until
