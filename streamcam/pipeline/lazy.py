"""The engine and its street, made when they are first needed."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.pipeline.street import Street
from streamcam.sinks.manifest import EngineFacts

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

FetchProgress = Callable[[str, int, int | None], None]
"""Is told of a download: the file, bytes so far, bytes in all where known."""


class LazyStreet:
    """Builds the engine and opens the street when the first job asks; a context manager.

    Args:
        settings: Which model, on which device.
        fetching: Is told of downloads.
    """

    def __init__(self, settings: Settings, fetching: FetchProgress | None = None) -> None:
        self._settings = settings
        self._fetching = fetching
        self._lock = threading.Lock()
        self._exits = ExitStack()
        self._engine: Engine | None = None
        self._street: Street | None = None
        self._fault: StreamcamError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()

    def facts(self) -> EngineFacts:
        """Return what results are made with; only after `street` was called."""
        assert self._engine is not None
        engine = self._engine.description
        settings = self._settings.model_dump(mode="json")
        # What "auto" and presets came to is what a reader wants to know.
        settings["model"] |= {"precision": engine.precision, "confidence": engine.confidence}
        return EngineFacts(
            model=engine.model,
            classes=tuple(engine.classes.values()),
            method=engine.method,
            device=engine.device,
            weights_sha256=engine.weights_sha256,
            settings=settings,
        )

    def street(self) -> Street:
        """Return the street, open.

        Raises:
            StreamcamError: The engine cannot be built; every later call raises the same.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if self._street is None:
                self._street = self._open()
            return self._street

    def _open(self) -> Street:
        try:
            self._engine = build_engine(self._settings, self._fetching)
        except StreamcamError as error:
            self._fault = error
            raise
        self._exits.callback(self._engine.close)
        model = self._settings.model
        street = Street(self._engine, batch=model.batch, max_wait=model.max_wait)
        return self._exits.enter_context(street)


def build_engine(settings: Settings, fetching: FetchProgress | None = None) -> "Engine":
    """Build the engine that the settings ask for.

    Raises:
        StreamcamError: It cannot be built.
    """
    # Imported here because it brings torch, which takes seconds: not for a file that is missing.
    from streamcam.vision.build import build_engine as build
    from streamcam.vision.library import Library

    model = settings.model
    return build(
        model=model.name,
        weights=_weights(model.weights),
        labels=model.labels,
        device=model.device,
        precision=model.precision,
        confidence=model.confidence,
        classes=model.classes or None,
        grid=settings.cam.grid,
        method=settings.cam.method,
        explain=settings.cam.explain,
        why_every=settings.cam.why_every,
        why_top=settings.cam.why_top,
        batch=model.batch,
        library=Library(model.library),
        progress=fetching,
    )


def _weights(value: str | None) -> Path | Literal["random"] | None:
    if value == "random":
        return "random"
    return None if value is None else Path(value)
