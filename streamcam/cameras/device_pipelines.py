"""The detectors and the pipeline of each device; cameras and files are spread over the devices."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from streamcam.cameras.engines import FILES, Engines
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.errors import DeviceError
from streamcam.observer import Observer
from streamcam.pipeline.engine_pool import EnginePool, chosen_devices
from streamcam.pipeline.engine_provider import EngineProvider
from streamcam.pipeline.inference import Inference, InferencePipeline
from streamcam.sinks.base import EngineKey, Provenance

_log = logging.getLogger(__name__)


class DevicePipeline:
    """The detectors of one device, and the pipeline that takes frames through them.

    Attributes:
        device: Its name; None where each source's own settings tell the device.
        fault: Why it takes no more sources.
    """

    def __init__(
        self, device: str | None, settings: Settings, observer: Observer, clock: Clock
    ) -> None:
        self.device = device
        self.fault: DeviceError | None = None
        self.engines = Engines(observer.download_progressed, device)
        self.pipeline = InferencePipeline(
            self.engines,
            batch=settings.model.batch,
            max_wait=settings.model.max_wait,
            on_batch=partial(observer.stage_measured, "engine"),
            clock=clock,
        )

    def close(self) -> None:
        self.pipeline.close()
        self.engines.close()


class DevicePipelines:
    """One for each device that the settings name.

    Raises:
        DeviceError: One of several devices is not there.
    """

    def __init__(self, settings: Settings, observer: Observer, clock: Clock) -> None:
        several = settings.model.several_devices
        devices = chosen_devices(settings) if several else [None]
        self._all = [DevicePipeline(device, settings, observer, clock) for device in devices]

    def start(self) -> None:
        for each in self._all:
            each.pipeline.start()

    def close(self) -> None:
        for each in self._all:
            each.close()

    @property
    def pipelines(self) -> Sequence[Inference]:
        return [each.pipeline for each in self._all]

    @property
    def usable(self) -> list[DevicePipeline]:
        return [each for each in self._all if each.fault is None]

    def least_used(self, used: Iterable[DevicePipeline]) -> DevicePipeline:
        """Return the one that is the fewest times in `used`; of failed ones only if all failed."""
        counts = Counter(used)
        return min(self.usable or self._all, key=lambda each: counts[each])

    def others(self, failed: DevicePipeline) -> list[DevicePipeline]:
        """Return those that can take the sources of a failed one."""
        return [each for each in self.usable if each is not failed]

    def give_up(self, failed: DevicePipeline, fault: DeviceError) -> bool:
        """Take no more sources to a device that failed; return whether another one is left."""
        if failed.fault is None:
            failed.fault = fault
            if left := ", ".join(str(each.device) for each in self.usable):
                _log.error("%s failed: %s; going on with %s", failed.device, fault.message, left)
        return bool(self.usable)

    def up(self) -> dict[str, bool]:
        """Return which of several devices work, by name; empty for one. From any thread."""
        failed = {each.device for each in self._all if each.fault is not None}
        return {each.device: each.device not in failed for each in self._all if each.device}

    def memory(self) -> Mapping[str, tuple[int, int]]:
        """Return the GPUs' memory in bytes, used and total, by GPU. From any thread."""
        return {name: both for each in self._all for name, both in each.engines.memory().items()}

    def file_engine_provider(self, settings: Settings) -> EngineProvider:
        """Return a provider by which files share the pipelines. From any thread."""
        providers = [
            (str(each.device), SharedEngineProvider(settings, each))
            for each in self.usable or self._all
        ]
        return providers[0][1] if len(providers) == 1 else EnginePool(providers)


class SharedEngineProvider(EngineProvider):
    """Lets files share a device's pipeline and engines with cameras."""

    def __init__(self, settings: Settings, device: DevicePipeline) -> None:
        self._settings = settings
        self._device = device

    def pipeline(self) -> Inference:
        self._device.engines.assign(FILES, self._settings)
        return self._device.pipeline

    def provenance(self) -> Provenance:
        return self._device.engines.provenance(FILES)

    def key(self) -> EngineKey:
        self.pipeline()
        return self.provenance().key

    def close(self) -> None:
        self._device.engines.release(FILES)
