"""Several detectors as one engine: each frame goes to the one that its source asked for."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streamcam.config import Settings
from streamcam.pipeline.lazy import FetchProgress, build_engine, engine_facts
from streamcam.records import Frame, FrameResult
from streamcam.sinks.manifest import EngineFacts

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

Builder = Callable[[Settings], "Engine"]


class Engines:
    """What the street knows as its one engine. `explain` and `forget` are for its thread only.

    A detector is loaded when the first source asks for it, shared by all that ask for the same, and
    let go with the last of them.

    Args:
        fetching: Is told of downloads.
    """

    def __init__(self, fetching: FetchProgress | None = None) -> None:
        self._fetching = fetching
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._assigned: dict[str, str] = {}
        # A download may take minutes: it holds up nobody but those that wait for the same.
        self._loading: dict[str, threading.Lock] = {}

    def assign(self, source: str, settings: Settings) -> "Engine":
        """Give a source its detector, loading it where it is not loaded yet. From any thread.

        Args:
            source: Id of the source.
            settings: Which detector, from which confidence on.

        Raises:
            StreamcamError: It cannot be loaded.
        """
        key = _key(settings)
        with self._lock:
            self._assigned[source] = key  # from now on nobody lets go of it
            loading = self._loading.setdefault(key, threading.Lock())
        try:
            with loading:
                if key not in self._engines:
                    self._engines[key] = build_engine(_for_all(settings), self._fetching)
                engine = self._engines[key]
        except BaseException:
            self.release(source)
            raise
        wanted = settings.model.confidence
        engine.admit(engine.description.preset if wanted is None else wanted)
        return engine

    def release(self, source: str) -> None:
        """Let go of a source's detector, once no frame of it is on its way. From any thread."""
        with self._lock:
            key = self._assigned.pop(source, None)
            if key is None or key in self._assigned.values():
                return
            engine = self._engines.pop(key, None)
        if engine is not None:
            engine.close()

    def facts(self, source: str, settings: Settings) -> EngineFacts:
        """Return what a source's results are made with."""
        return engine_facts(self._engines[self._assigned[source]], settings)

    def explain(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Explain frames of any sources, in one pass for each detector; results in their order."""
        groups: dict[str, list[int]] = {}
        for place, frame in enumerate(frames):
            groups.setdefault(self._assigned[frame.source], []).append(place)
        results: dict[int, FrameResult] = {}
        for key, places in groups.items():
            explained = self._engines[key].explain([frames[place] for place in places])
            results.update(zip(places, explained, strict=True))
        return [results[place] for place in range(len(frames))]

    def forget(self, source: str) -> None:
        """Drop what is kept of a source that has ended."""
        engine = self._engines.get(self._assigned.get(source, ""))
        if engine is not None:
            engine.forget(source)

    def close(self) -> None:
        """Let go of all detectors."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._assigned.clear()


def _for_all(settings: Settings) -> Settings:
    """Return settings for a detector that sources with various wishes share."""
    model = settings.model.model_copy(update={"classes": ()})
    return settings.model_copy(update={"model": model})


def _key(settings: Settings) -> str:
    """Return what tells detectors apart that cannot be shared."""
    model = settings.model.model_dump_json(exclude={"confidence", "classes", "max_wait"})
    return model + settings.cam.model_dump_json()
