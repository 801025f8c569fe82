"""The engine and its inference pipeline, made when they are first needed."""

import gc
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from streamcam.config import Settings
from streamcam.errors import DeviceError, StreamcamError, UsageError
from streamcam.fingerprint import sha256_of
from streamcam.pipeline.engine_key import RANDOM, engine_key
from streamcam.pipeline.inference import Inference, InferencePipeline
from streamcam.sinks.base import EngineKey, Provenance
from streamcam.vision.models.names import NANO, NANO_FILE
from streamcam.vision.models.quantized import nano_int8

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine
    from streamcam.vision.engine_options import ModelOptions

FetchProgress = Callable[[str, int, int | None], None]
"""Called with a download's progress: the file, bytes so far, total bytes where known."""


class EngineProvider(Protocol):
    """Provides jobs with an engine; a context manager, which releases it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def pipeline(self) -> Inference:
        """Return the pipeline, its engine loaded; raises StreamcamError where it cannot be."""
        ...

    def provenance(self) -> Provenance:
        """Return what results are made with; only after `pipeline` was called."""
        ...

    def key(self) -> EngineKey:
        """Return the key of what results are, or would be, made with; at any time.

        Where it is known only with the engine loaded, that is done, and raises as `pipeline`.
        """
        ...

    def close(self) -> None:
        """Release the engine."""
        ...

    @property
    def engines(self) -> int:
        """How many engines work side by side."""
        return 1

    def lease(self) -> "AbstractContextManager[EngineProvider]":
        """Return the provider for one job, from its begin to its end: this one."""
        return nullcontext(self)

    def takes_over(self, failed: "EngineProvider", error: DeviceError) -> bool:  # noqa: ARG002
        """Return whether another engine can do the job of a leased one, whose device failed."""
        return False


class LazyEngineProvider(EngineProvider):
    """Builds the engine and starts its pipeline when the first job asks; a context manager."""

    def __init__(self, settings: Settings, fetching: FetchProgress | None = None) -> None:
        self._settings = settings
        self._fetching = fetching
        self._lock = threading.Lock()
        self._exits = ExitStack()
        self._engine: Engine | None = None
        self._pipeline: Inference | None = None
        self._fault: StreamcamError | None = None
        self._expected_key: EngineKey | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.__exit__(kind, error, traceback)

    def close(self) -> None:
        self._exits.close()

    def provenance(self) -> Provenance:
        assert self._engine is not None
        return provenance_of(self._engine, self._settings)

    def key(self) -> EngineKey:
        with self._lock:
            if self._engine is None and self._expected_key is None:
                self._expected_key = expected_key(self._settings)
            if self._engine is None and self._expected_key is not None:
                return self._expected_key
        self.pipeline()
        return self.provenance().key

    def pipeline(self) -> Inference:
        """Return the pipeline; where the engine cannot be built, every call raises the same."""
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if self._pipeline is None:
                self._pipeline = self._open()
            return self._pipeline

    def _open(self) -> Inference:
        try:
            self._engine = build_engine(self._settings, self._fetching)
        except StreamcamError as error:
            self._fault = error
            raise
        self._exits.callback(self._engine.close)
        model = self._settings.model
        pipeline = InferencePipeline(
            self._engine, batch=self._engine.batch, max_wait=model.max_wait
        )
        return self._exits.enter_context(pipeline)


def provenance_of(engine: "Engine", settings: Settings) -> Provenance:
    """Return what results are made with: the engine, and the settings that they follow."""
    made_by = engine.description
    shown = settings.model_dump(mode="json", exclude={"camera", "sinks", "mqtt", "webhook", "ray"})
    # What "auto" and presets came to is what a reader wants to know.
    confidence = settings.model.confidence
    shown["model"] |= {
        "precision": made_by.precision,
        "confidence": made_by.preset if confidence is None else confidence,
    }
    if made_by.replayed is not None:
        shown["cam"]["precision"] = made_by.replayed
    return Provenance(
        model=made_by.model,
        classes=tuple(made_by.classes.values()),
        method=made_by.method,
        device=made_by.device,
        weights_sha256=made_by.weights_sha256,
        settings=shown,
        quantization=made_by.quantization,
        key=engine_key(settings, made_by.weights_sha256, made_by.labels_sha256),
    )


def expected_key(settings: Settings) -> EngineKey | None:
    """Return the key of an engine that is not built yet; None where only building it tells.

    Raises:
        StreamcamError: There is no such model.
    """
    weights, labels = _file_digests(settings)
    if weights is None and settings.model.weights != RANDOM:
        return None
    return engine_key(settings, weights, labels)


def _file_digests(settings: Settings) -> tuple[str | None, str | None]:
    """Return the digests of the files of weights and labels, as `vision.build.file_digests`."""
    model = settings.model
    if model.name == NANO and model.weights != RANDOM:
        # Without torch, whose import takes seconds: often everything turns out to be complete.
        labels = sha256_of(model.labels)
        if model.precision == "int8" and model.weights is None:
            quantized = nano_int8()
            return None if quantized is None else quantized.sha256, labels
        weights = NANO_FILE if model.weights is None else Path(model.weights)
        return sha256_of(weights), labels
    import_vision()
    from streamcam.vision.build import file_digests

    return file_digests(model_options(settings))


@cache
def import_vision() -> None:
    """Import torch with garbage collection off, then freeze its objects so later passes skip them.

    torch and torchvision create 360,000 objects that live as long as the process: looking through
    them takes a fifth of their import, and afterwards 0.12 s of every full collection. Only once,
    since what is garbage later, such as an engine that was replaced, must not be kept with them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        import streamcam.vision.build  # noqa: F401
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def build_engine(
    settings: Settings, fetching: FetchProgress | None = None, *, fuse: bool = True
) -> "Engine":
    """Build the engine that the settings describe.

    Args:
        settings: The detector, its device, and how maps are made.
        fetching: Called with the progress of downloads.
        fuse: Whether a CPU may hide the network's weights in an order of its own.

    Raises:
        StreamcamError: It cannot be built.
    """
    # Here because it takes seconds: not for a file that is missing.
    import_vision()
    from streamcam.vision.build import build_engine as build
    from streamcam.vision.engine_options import CamOptions

    cam = CamOptions(**settings.cam.model_dump())
    return build(model_options(settings), cam, progress=fetching, fuse=fuse)


def model_options(settings: Settings) -> "ModelOptions":
    """Return what an engine on one device is asked for; raises as `require_one_device`."""
    from streamcam.vision.engine_options import ModelOptions

    require_one_device(settings)
    return ModelOptions(**settings.model.model_dump(exclude={"max_wait"}))


def on_device(settings: Settings, device: str) -> Settings:
    """Return the settings with one device in place of all."""
    model = settings.model.model_copy(update={"device": device})
    return settings.model_copy(update={"model": model})


def require_one_device(settings: Settings) -> None:
    """Raise `UsageError` where the settings name several devices."""
    if settings.model.several_devices:
        raise UsageError(
            f"--device {settings.model.device}: one device is wanted here",
            hint="Several are for run (without --ray), watch and serve.",
        )
