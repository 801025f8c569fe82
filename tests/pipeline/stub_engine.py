"""Sources, an engine and a sink to test an inference pipeline with."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from streamcam.errors import CorruptMediaError, SinkError
from streamcam.pipeline.file_results import Delivery
from streamcam.pipeline.inference import Inference
from streamcam.pipeline.stream import Sampler, Stream
from streamcam.sources.base import Selector
from streamcam.types import (
    Explanation,
    Frame,
    FrameResult,
    Item,
    Picture,
    SourceInfo,
)

PICTURE: Picture = np.zeros((4, 4, 3), np.uint8)


class CountedSource:
    """Frames at 10 a second; may fail after some of them."""

    def __init__(self, name: str, count: int, fail_at: int | None = None) -> None:
        self.info = SourceInfo(name, 4, 4, Fraction(1, 10))
        self.decoded = self.corrupt = 0
        self._count = count
        self._fail_at = fail_at
        self._interrupted = threading.Event()

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        for index in range(self._count):
            if self._interrupted.is_set():
                return
            if index == self._fail_at:
                raise CorruptMediaError(f"{self.info.id} broke")
            self.decoded += 1
            sampled = selector.wants(index, index / 10)
            if sampled or every:
                time = index / 10
                yield Frame(self.info.id, index, index, Fraction(1, 10), time, PICTURE, sampled)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.interrupt()


@dataclass(eq=False)
class StubOutputs:
    """The frames of a batch; may be referred to weakly."""

    frames: Sequence[Frame]


class RecordingEngine:
    """Explains nothing, remembers the batches, and can be made to fail or to wait."""

    def __init__(self, error: Exception | None = None, fail_at: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.forgotten: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._error = error
        self._fail_at = fail_at

    def preprocess(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        return frames

    def forward(self, inputs: Sequence[Frame]) -> StubOutputs:
        self.gate.wait(10)
        if self._error is not None and len(self.batches) >= self._fail_at:
            raise self._error
        self.batches.append([frame.source for frame in inputs])
        return StubOutputs(inputs)

    def postprocess(self, outputs: StubOutputs) -> list[FrameResult]:
        heat = np.zeros((1, 1), np.float32)
        explanation = Explanation("eigencam", heat, 0.5, None, (0.0, 0.0))
        return [FrameResult(frame, (), explanation) for frame in outputs.frames]

    def forget(self, source: str) -> None:
        self.forgotten.append(source)


class ListSink:
    kind: ClassVar[str] = "records"
    needs_picture: ClassVar[bool] = False

    def __init__(self, fail_at: int | None = None) -> None:
        self.items: list[Item] = []
        self.ended = ""
        self._fail_at = fail_at

    def write(self, item: Item, picture: Picture | None) -> None:
        assert picture is None
        if len(self.items) == self._fail_at:
            raise SinkError("the sink broke")
        self.items.append(item)

    def finish(self) -> Path:
        self.ended = "finished"
        return Path("records")

    def abort(self) -> None:
        self.ended = "aborted"

    @property
    def indices(self) -> list[int]:
        return [index_of(item) for item in self.items]


def never_annotate(_: Item) -> Picture:
    raise AssertionError("no sink needs pictures")


def stream_of(
    pipeline: Inference, source: CountedSource, sink: ListSink, *, every: bool = False
) -> Stream:
    sampler = Sampler(every=2 if every else 1)
    return pipeline.open(source, sampler, Delivery([sink], never_annotate), every=every)


def index_of(item: Item) -> int:
    return item.frame.index if isinstance(item, FrameResult) else item.index
