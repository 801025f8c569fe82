"""Several detectors as one engine: each frame goes to the one that its source asked for."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamcam.cameras.detection_filter import DetectionFilter, region
from streamcam.config import Settings
from streamcam.pipeline.engine_provider import FetchProgress, build_engine, engine_facts
from streamcam.sinks.manifest import Provenance
from streamcam.types import Finish, Frame, FrameResult, Look

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

FILES = ""
"""Stands for all sources that have asked for nothing themselves: the files of watched folders."""


@dataclass(frozen=True, slots=True, eq=False)
class _Client:
    """What a source asked for."""

    key: str
    settings: Settings
    wish: DetectionFilter


class Engines:
    """What the street knows as its one engine; its threads alone begin, finish and forget.

    A detector is loaded when the first source asks for it, shared by all that ask for the same, and
    let go with the last of them.

    Args:
        fetching: Is told of downloads.
    """

    def __init__(self, fetching: FetchProgress | None = None) -> None:
        self._fetching = fetching
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._clients: dict[str, _Client] = {}
        # A download may take minutes: it holds up nobody but those that wait for the same.
        self._turns: dict[str, threading.Lock] = {}

    def assign(
        self, source: str, settings: Settings, ignore: Sequence[Sequence[float]] = ()
    ) -> None:
        """Give a source its detector, loading it where it is not loaded yet. From any thread.

        Args:
            source: Id of the source, or `FILES`.
            settings: Which detector, and which of its detections.
            ignore: Regions whose detections do not count, see `region`.

        Raises:
            StreamcamError: It cannot be loaded, or knows no such class.
        """
        key = _key(settings)
        with self._turn(key):
            try:
                engine = self._loaded(key, settings)
                wish = _wish(settings, engine.description.preset, ignore)
                engine.admit(wish.confidence)
                with self._lock:
                    self._clients[source] = _Client(key, settings, wish)
            finally:
                self._close_unused(key)

    def release(self, source: str) -> None:
        """Let go of a source's detector, once no frame of it is on its way. From any thread."""
        client = self._clients.get(source)
        if client is None:
            return
        with self._turn(client.key):
            with self._lock:
                self._clients.pop(source, None)
            self._close_unused(client.key)

    def facts(self, source: str) -> Provenance:
        """Return what a source's results are made with."""
        client = self._client(source)
        return engine_facts(self._engines[client.key], client.settings)

    def prepare(self, frames: Sequence[Frame]) -> Look:
        """Prepare frames of any sources, for one pass of each detector; see `Engine.prepare`."""
        clients = [self._client(frame.source) for frame in frames]
        groups: dict[str, list[int]] = {}
        for place, client in enumerate(clients):
            groups.setdefault(client.key, []).append(place)
        prepared = [
            (places, self._engines[key].prepare([frames[place] for place in places]))
            for key, places in groups.items()
        ]

        def look() -> Finish:
            looked = [(places, look_at()) for places, look_at in prepared]
            return lambda: finish(looked)

        def finish(looked: Sequence[tuple[Sequence[int], Finish]]) -> list[FrameResult]:
            results: dict[int, FrameResult] = {}
            for places, rest in looked:
                results.update(zip(places, rest(), strict=True))
            return [clients[place].wish.of(results[place]) for place in range(len(frames))]

        return look

    def forget(self, source: str) -> None:
        """Drop what is kept of a source that has ended."""
        client = self._clients.get(source) or self._clients.get(FILES)
        if client is not None:
            self._engines[client.key].forget(source)

    @property
    def devices(self) -> list[str]:
        """Where the detectors run, with the GPUs' names. From any thread."""
        with self._lock:
            return sorted({engine.description.device for engine in self._engines.values()})

    def memory(self) -> dict[str, tuple[int, int]]:
        """Return the GPUs' memory, used and in all, in bytes; none where no detector is on one."""
        if not any(device.startswith("cuda") for device in self.devices):
            return {}
        from streamcam.vision.devices import device_memory

        return device_memory()

    def close(self) -> None:
        """Let go of all detectors."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._clients.clear()

    def _turn(self, key: str) -> threading.Lock:
        """Return the lock under which a detector is loaded and let go."""
        with self._lock:
            return self._turns.setdefault(key, threading.Lock())

    def _loaded(self, key: str, settings: Settings) -> "Engine":
        if key not in self._engines:
            engine = build_engine(_for_all(settings), self._fetching)
            with self._lock:
                self._engines[key] = engine
        return self._engines[key]

    def _close_unused(self, key: str) -> None:
        with self._lock:
            used = any(client.key == key for client in self._clients.values())
            engine = None if used else self._engines.pop(key, None)
        if engine is not None:
            engine.close()

    def _client(self, source: str) -> _Client:
        return self._clients.get(source) or self._clients[FILES]


def _for_all(settings: Settings) -> Settings:
    """Return settings for a detector that sources with various wishes share."""
    model = settings.model.model_copy(update={"classes": ()})
    return settings.model_copy(update={"model": model})


def _wish(settings: Settings, preset: float, ignore: Sequence[Sequence[float]]) -> DetectionFilter:
    model = settings.model
    return DetectionFilter(
        confidence=preset if model.confidence is None else model.confidence,
        classes=frozenset(map(str.casefold, model.classes)) or None,
        ignored=tuple(map(region, ignore)),
    )


def _key(settings: Settings) -> str:
    """Return what tells detectors apart that cannot be shared."""
    model = settings.model.model_dump_json(exclude={"confidence", "classes", "max_wait"})
    return model + settings.cam.model_dump_json()
