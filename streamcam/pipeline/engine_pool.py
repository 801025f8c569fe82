"""An engine on each of several devices: jobs are spread over them, and outlive their failures."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from streamcam.config import Settings
from streamcam.errors import DeviceError
from streamcam.pipeline.engine_provider import (
    EngineProvider,
    FetchProgress,
    LazyEngineProvider,
    import_vision,
    on_device,
)
from streamcam.pipeline.inference import Inference
from streamcam.sinks.base import EngineKey, Provenance

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Member:
    """An engine of the pool.

    Attributes:
        jobs: How many it works on.
        fault: Why it gets no more of them.
    """

    device: str
    provider: EngineProvider
    jobs: int = 0
    fault: DeviceError | None = None


class EnginePool(EngineProvider):
    """Gives each job the engine with the fewest jobs; a context manager.

    An engine whose device fails gets no more jobs, and those that it had are done by the others.
    Where all have failed, jobs fail as with a single device. Each engine is built when the first
    job comes to it.

    Args:
        providers: Each engine's provider, and its device by name; a device may be named twice.
    """

    def __init__(self, providers: Sequence[tuple[str, EngineProvider]]) -> None:
        self._members = [_Member(device, provider) for device, provider in providers]
        self._lock = threading.Lock()

    @property
    def engines(self) -> int:
        return len(self._members)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for member in self._members:
            member.provider.__exit__(kind, error, traceback)

    def close(self) -> None:
        for member in self._members:
            member.provider.close()

    def pipeline(self) -> Inference:
        """Return a pipeline that works; the engines of devices that fail are left out."""
        return self._ask(lambda engine: engine.pipeline())

    def provenance(self) -> Provenance:
        return self._first().provenance()

    def key(self) -> EngineKey:
        return self._ask(lambda engine: engine.key())

    @contextmanager
    def lease(self) -> Iterator[EngineProvider]:
        with self._lock:
            member = min(self._usable() or self._members, key=lambda one: one.jobs)
            member.jobs += 1
        try:
            yield member.provider
        finally:
            with self._lock:
                member.jobs -= 1

    def takes_over(self, failed: EngineProvider, error: DeviceError) -> bool:
        with self._lock:
            member = next(one for one in self._members if one.provider is failed)
            first = member.fault is None
            member.fault = member.fault or error
            left = [one.device for one in self._usable()]
        if first:
            going_on = f"going on with {', '.join(left)}" if left else "no device is left"
            logger.warning("%s failed: %s; %s", member.device, error.message, going_on)
        return bool(left)

    def _ask(self, question: Callable[[EngineProvider], T]) -> T:
        """Ask the first engine; where that cannot be built on its device, the next."""
        while True:
            engine = self._first()
            try:
                return question(engine)
            except DeviceError as error:
                if not self.takes_over(engine, error):
                    raise

    def _first(self) -> EngineProvider:
        return next(iter(self._usable()), self._members[0]).provider

    def _usable(self) -> list[_Member]:
        return [member for member in self._members if member.fault is None]


def chosen_devices(settings: Settings) -> list[str]:
    """Return the devices that the settings name, each of "all" where they say so.

    Raises:
        DeviceError: There is no such device, or no GPU where they say "all".
    """
    if not settings.model.several_devices:
        return [settings.model.device]
    import_vision()
    from streamcam.vision.devices import all_gpus, check_devices

    if settings.model.device == "all":
        return all_gpus()
    check_devices(settings.model.devices)
    return list(settings.model.devices)


def make_engine_provider(
    settings: Settings, fetching: FetchProgress | None = None
) -> EngineProvider:
    """Return the provider of the engine, or engines, that the settings ask for.

    Raises:
        DeviceError: Of several devices one is not there.
    """
    if not settings.model.several_devices:
        return LazyEngineProvider(settings, fetching)
    devices = chosen_devices(settings)
    return EnginePool(
        [(one, LazyEngineProvider(on_device(settings, one), fetching)) for one in devices]
    )
