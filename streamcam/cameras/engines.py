"""Several detectors as one engine: each frame goes to the one that its source asked for."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.config import Settings
from streamcam.pipeline.engine_provider import (
    FetchProgress,
    build_engine,
    on_device,
    provenance_of,
)
from streamcam.sinks.base import Provenance
from streamcam.types import Detection, Frame, FrameResult

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine
    from streamcam.vision.engine_io import Inputs, Outputs

T = TypeVar("T")

FILES = ""
"""The id of all sources without an assignment of their own: the files of watched folders."""

Region = npt.NDArray[np.float32]
"""float32, [corners, 2]: x, y in shares of the frame's width and height."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFilter:
    """Selects the detections that a camera's settings ask for.

    A detection is in a region if the middle of its box's lower edge is: where the object stands.
    The map is not changed: it shows what the detector responds to, filtered or not.
    """

    confidence: float = 0.0  # minimum, 0..1
    classes: Collection[str] | None = None  # labels to keep, casefolded; None for all
    ignored: Sequence[Region] = ()  # regions whose detections are dropped

    def apply(self, result: FrameResult) -> FrameResult:
        """Return the result with the selected detections only."""
        height, width = result.frame.picture.shape[:2]
        selected = tuple(d for d in result.detections if self._selects(d, width, height))
        if len(selected) == len(result.detections):
            return result
        return replace(result, detections=selected)

    def _selects(self, detection: Detection, width: int, height: int) -> bool:
        if detection.confidence < self.confidence:
            return False
        if self.classes is not None and detection.label.casefold() not in self.classes:
            return False
        x1, _, x2, y2 = detection.box
        foot = ((x1 + x2) / 2 / width, y2 / height)
        return all(cv2.pointPolygonTest(region, foot, False) < 0 for region in self.ignored)


def region(numbers: Sequence[float]) -> Region:
    """Return a polygon given as x, y, x, y, ...; two points are corners of a box."""
    if len(numbers) == 4:
        x1, y1, x2, y2 = numbers
        numbers = (x1, y1, x2, y1, x2, y2, x1, y2)
    return np.asarray(numbers, np.float32).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Client:
    key: str
    settings: Settings
    filter: DetectionFilter


@dataclass(frozen=True, slots=True)
class _Share(Generic[T]):
    """One engine's share of a batch, between two stages; `indices` are its frames' places."""

    indices: Sequence[int]
    engine: "Engine"
    value: T


@dataclass(frozen=True, slots=True)
class SharedBatch(Generic[T]):
    """A batch for several engines, between two stages: each frame's client, each engine's share."""

    clients: Sequence[_Client]
    shares: Sequence[_Share[T]]


class Engines:
    """Several engines behind one interface; the stages run in the threads of the pipeline.

    A detector is loaded when the first source asks for it, shared by all that ask for the same, and
    closed with the last of them.

    Args:
        device: Where all of them run, whatever the sources' settings say; None: where these say.
    """

    def __init__(self, fetching: FetchProgress | None = None, device: str | None = None) -> None:
        self._fetching = fetching
        self._device = device
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._clients: dict[str, _Client] = {}
        # A download may take minutes: it holds up nobody but those that wait for the same.
        self._turns: dict[str, threading.Lock] = {}

    def assign(
        self, source: str, settings: Settings, ignore: Sequence[Sequence[float]] = ()
    ) -> None:
        """Give a source (or `FILES`) its detector, loaded where it is not yet. From any thread.

        Detections in the regions of `ignore` do not count, see `region`.

        Raises:
            StreamcamError: It cannot be loaded, or knows no such class.
        """
        if self._device is not None:
            settings = on_device(settings, self._device)
        key = _key(settings)
        with self._turn(key):
            try:
                engine = self._loaded(key, settings)
                detections = _filter(settings, engine.description.preset, ignore)
                engine.lower_confidence(detections.confidence)
                with self._lock:
                    self._clients[source] = _Client(key, settings, detections)
            finally:
                self._close_unused(key)

    def release(self, source: str) -> None:
        """Release a source's detector, once no frame of it is in the engine. From any thread."""
        client = self._clients.get(source)
        if client is None:
            return
        with self._turn(client.key):
            with self._lock:
                self._clients.pop(source, None)
            self._close_unused(client.key)

    def provenance(self, source: str) -> Provenance:
        client = self._client(source)
        return provenance_of(self._engines[client.key], client.settings)

    def preprocess(self, frames: Sequence[Frame]) -> "SharedBatch[Inputs]":
        """Preprocess frames of any sources, for one pass of each engine."""
        clients = [self._client(frame.source) for frame in frames]
        groups: dict[str, list[int]] = {}
        for index, client in enumerate(clients):
            groups.setdefault(client.key, []).append(index)
        shares = [
            _Share(indices, engine, engine.preprocess([frames[i] for i in indices]))
            for indices, engine in ((i, self._engines[key]) for key, i in groups.items())
        ]
        return SharedBatch(clients, shares)

    def forward(self, inputs: "SharedBatch[Inputs]") -> "SharedBatch[Outputs]":
        shares = [
            _Share(share.indices, share.engine, share.engine.forward(share.value))
            for share in inputs.shares
        ]
        return SharedBatch(inputs.clients, shares)

    def postprocess(self, outputs: "SharedBatch[Outputs]") -> list[FrameResult]:
        results: dict[int, FrameResult] = {}
        for share in outputs.shares:
            made = share.engine.postprocess(share.value)
            results.update(zip(share.indices, made, strict=True))
        return [client.filter.apply(results[i]) for i, client in enumerate(outputs.clients)]

    def forget(self, source: str) -> None:
        client = self._clients.get(source) or self._clients.get(FILES)
        # The engine may have been released meanwhile by the thread that reloads.
        engine = None if client is None else self._engines.get(client.key)
        if engine is not None:
            engine.forget(source)

    @property
    def devices(self) -> list[str]:
        """The detectors' devices, with the GPUs' names. From any thread."""
        with self._lock:
            return sorted({engine.description.device for engine in self._engines.values()})

    def memory(self) -> dict[str, tuple[int, int]]:
        """Return the memory of the detectors' GPUs in bytes, used and in total, by name."""
        gpus = [device.partition(" ")[0] for device in self.devices if device.startswith("cuda")]
        if not gpus:
            return {}
        from streamcam.vision.devices import device_memory

        return device_memory(gpus)

    def close(self) -> None:
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._clients.clear()

    def _turn(self, key: str) -> threading.Lock:
        """Return the lock under which a detector is loaded and closed."""
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
    model = settings.model.model_copy(update={"classes": ()})
    return settings.model_copy(update={"model": model})


def _filter(
    settings: Settings, preset: float, ignore: Sequence[Sequence[float]]
) -> DetectionFilter:
    model = settings.model
    return DetectionFilter(
        confidence=preset if model.confidence is None else model.confidence,
        classes=frozenset(map(str.casefold, model.classes)) or None,
        ignored=tuple(map(region, ignore)),
    )


def _key(settings: Settings) -> str:
    model = settings.model.model_dump_json(exclude={"confidence", "classes", "max_wait"})
    return model + settings.cam.model_dump_json()
