"""Frames in, explained frames out."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from streamcam.cam_methods import EIGENCAM
from streamcam.errors import DeviceError
from streamcam.types import (
    Box,
    Detection,
    Explanation,
    Frame,
    FrameResult,
    HeatMap,
)
from streamcam.vision.cam.eigencam import EigenCam, blank_baseline
from streamcam.vision.cam.focus import map_peak, measure_focus
from streamcam.vision.cam.stabilizer import MapStabilizer
from streamcam.vision.cpu.tuning import fills_a_cpu, threads_for
from streamcam.vision.devices import computing_threads, device_errors, torch_threads
from streamcam.vision.methods.attribution import Attribution
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.models.checkpoints import unnamed
from streamcam.vision.models.torchvision import Detector, Forward
from streamcam.vision.models.torchvision_transform import Prepared
from streamcam.vision.seen import HostOutputs, download

METHOD = EIGENCAM

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What made a result: for manifests and for people.

    Attributes:
        model: The detector's name.
        weights: Where its weights are from: a file's name or path, or "random".
        weights_sha256: Of the weights' file; None for random weights.
        classes: Names by class id, as the model counts.
        method: How the maps are made.
        device: Where it runs, with the GPU's name.
        precision: "fp32", "fp16" or "bf16".
        confidence: Score from which a detection counts.
        grid: "fine" or "pool".
        batch: The most pictures in one forward.
        versions: Of torch and torchvision.
        preset: The confidence that the model recommends.
    """

    model: str
    weights: str
    weights_sha256: str | None
    classes: Mapping[int, str]
    method: str
    device: str
    precision: str
    confidence: float
    grid: str
    batch: int
    versions: Mapping[str, str]
    preset: float = 0.5


@dataclass(frozen=True, slots=True)
class PreparedFrames:
    """Frames of one forward pass, on the device.

    Attributes:
        frames: In their order.
        due: Per frame whether its boxes are to be explained.
        pictures: The frames' pictures, resized and padded to the network's canvas.
    """

    frames: Sequence[Frame]
    due: Sequence[bool]
    pictures: Prepared


@dataclass(frozen=True, slots=True)
class ForwardedFrames:
    """Frames of one forward pass and what it gave, still on the device.

    Attributes:
        frames: In their order.
        due: Per frame whether its boxes are to be explained.
        forward: Detections and feature maps.
        saved: Activations for explaining boxes, None where no frame is due.
    """

    frames: Sequence[Frame]
    due: Sequence[bool]
    forward: Forward
    saved: SavedActivations | None


Inputs = Sequence[PreparedFrames]
"""What `Engine.preprocess` gives: a batch, in as few forward passes as the memory allows."""

Outputs = Sequence[ForwardedFrames]
"""What `Engine.forward` gives."""


class Engine:
    """Explains frames of many sources in three stages: preprocess, forward, postprocess.

    Each stage may run in a thread of its own; batches come to each in the same order. `forget`
    belongs to the thread of `postprocess`.

    Args:
        detector: The network.
        cam: Makes the maps from its feature maps.
        description: What both are, for the record.
        keep: The class ids that are wanted, None for all.
        attribution: Explains boxes after the forward pass; None for EigenCAM alone.
    """

    def __init__(
        self,
        detector: Detector,
        cam: EigenCam,
        description: EngineDescription,
        *,
        keep: Collection[int] | None = None,
        attribution: Attribution | None = None,
    ) -> None:
        self._detector = detector
        self._cam = cam
        self._description = description
        self._keep = keep
        self._attribution = attribution
        # Where one picture keeps all cores busy, several at once or a map beside it only disturb.
        self._fills_a_cpu = fills_a_cpu(detector)
        self._limit = 1 if self._fills_a_cpu else description.batch
        self._threads = threads_for(detector)
        # What explains boxes runs the network too.
        self._network = threading.Lock()
        self._stabiliser = MapStabilizer(baseline=blank_baseline(detector, cam))

    @property
    def description(self) -> EngineDescription:
        """What made the results, for manifests."""
        return self._description

    @property
    def batch(self) -> int:
        """The most pictures in one forward: as asked for, or fewer if that is quicker."""
        return self._limit

    @property
    def detector(self) -> Detector:
        """What looks; for the same thread."""
        return self._detector

    @property
    def cam(self) -> EigenCam:
        """What makes the ordinary maps."""
        return self._cam

    def explain(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Detect and explain frames; frames of one source come in their order.

        Args:
            frames: Of any sizes and sources, in one batch as far as the device's memory goes.

        Returns:
            One result for each frame, in the same order.

        Raises:
            DeviceError: The GPU failed, or has no room for a single frame.
        """
        return self.postprocess(self.forward(self.preprocess(frames)))

    def preprocess(self, frames: Sequence[Frame]) -> Inputs:
        """Bring frames to the device, as the network wants them.

        Raises:
            DeviceError: The GPU failed, or has no room for a single frame.
        """
        due = self._attribution.due(frames) if self._attribution else [False] * len(frames)
        return self._prepare_all(frames, due)

    def forward(self, inputs: Inputs) -> Outputs:
        """Run the network: detections and feature maps, still on the device.

        Raises:
            DeviceError: The GPU failed, or has no room for a single frame.
        """
        return [done for part in inputs for done in self._forward_or_split(part)]

    def postprocess(self, outputs: Outputs) -> list[FrameResult]:
        """Make the maps and the results, in the frames' order.

        Raises:
            DeviceError: The GPU failed, or has no room for a single frame.
        """
        with computing_threads(torch_threads()):
            return [result for part in outputs for result in self._results(part)]

    def admit(self, confidence: float) -> None:
        """Give detections from this confidence on, if not so many were given before. Any thread."""
        if confidence < self._description.confidence:
            self._detector.admit(confidence)
            self._description = replace(self._description, confidence=confidence)

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source that has ended."""
        self._stabiliser.forget(source)
        if self._attribution is not None:
            self._attribution.forget(source)

    def close(self) -> None:
        """Let go of the detector. Idempotent."""
        self._detector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Prepare pictures, on a CPU in the calling thread alone: another batch is looked at."""
        with computing_threads(1):
            yield

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Have the network to oneself, with as many threads as are good for it."""
        with self._network, computing_threads(self._threads):
            yield

    def _prepare_all(self, frames: Sequence[Frame], due: Sequence[bool]) -> list[PreparedFrames]:
        """Prepare frames for as few forward passes as the device's memory allows."""
        done: list[PreparedFrames] = []
        start = 0
        while start < len(frames):
            part = slice(start, start + self._limit)
            try:
                done.append(self._prepare(frames[part], due[part]))
                start = part.stop
            except torch.OutOfMemoryError:
                self._shrink(len(frames[part]))
        return done

    def _prepare(self, frames: Sequence[Frame], due: Sequence[bool]) -> PreparedFrames:
        with device_errors(), self.preparing():
            pictures = self._detector.upload([frame.picture for frame in frames])
            return PreparedFrames(frames, due, self._detector.prepare(pictures))

    def _forward_or_split(self, part: PreparedFrames) -> list[ForwardedFrames]:
        """Run frames in one forward pass; in several where the device's memory forbids that."""
        if len(part.frames) <= self._limit:
            try:
                return [self._forward(part)]
            except torch.OutOfMemoryError:
                self._shrink(len(part.frames))
        return list(self.forward(self._prepare_all(part.frames, part.due)))

    def _forward(self, part: PreparedFrames) -> ForwardedFrames:
        with device_errors(), torch.inference_mode(), self.looking():
            forward = self._detector.look(part.pictures)
            saved = _save_activations(forward, part.frames, part.due)
            return ForwardedFrames(part.frames, part.due, forward, saved)

    def _results(self, part: ForwardedFrames) -> list[FrameResult]:
        try:
            on_host = self._download(part)
        except torch.OutOfMemoryError:
            self._shrink(len(part.frames))
            again = self._prepare_all(part.frames, part.due)
            return self.postprocess(self.forward(again))
        results = [self.settle(f, s) for f, s in zip(part.frames, on_host, strict=True)]
        if self._attribution is None:
            return results
        exclusive = self._network if any(part.due) else nullcontext()
        with device_errors(), exclusive:
            return self._attribution.apply(results, part.saved, part.due)

    def _download(self, part: ForwardedFrames) -> list[HostOutputs]:
        """The components of each frame's map, and its detections, on the host."""
        guesses = self.guesses(part.frames)
        exclusive = self._network if self._fills_a_cpu else nullcontext()
        with device_errors(), torch.inference_mode(), exclusive:
            forward = part.forward
            return download(forward, self._cam(forward.levels, forward.placements, guesses))

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise DeviceError(
                "the GPU has no room for a single frame",
                hint="Close what else uses it, or take a smaller model.",
            )
        # The steps may find out in any order.
        self._limit = min(self._limit, tried // 2)
        if self._detector.device.type == "cuda":
            torch.cuda.empty_cache()
        _log.warning(
            "the GPU has no room for %d frames at once; %d from now on", tried, self._limit
        )

    def guesses(self, frames: Sequence[Frame]) -> list[Floats | None]:
        """Where to start searching for each frame's directions: what its source showed before."""
        return [self._stabiliser.guess(frame.source) for frame in frames]

    def settle(self, frame: Frame, seen: HostOutputs) -> FrameResult:
        """Make a frame's result of what was downloaded for it; frames come in their order."""
        height, width = frame.picture.shape[:2]
        settled = self._stabiliser.stabilize(frame, seen.directions, seen.maps, seen.shares)
        explanation = Explanation(
            method=METHOD,
            map=settled.heat,
            explained_variance=float(seen.shares[settled.component]),
            flicker=settled.flicker,
            peak=map_peak(settled.heat, width, height),
        )
        return FrameResult(frame, self._detections(seen, settled.heat, width, height), explanation)

    def _detections(
        self, seen: HostOutputs, heat: HeatMap, width: int, height: int
    ) -> tuple[Detection, ...]:
        wanted = seen.scores >= self._description.confidence
        if self._keep is not None:
            wanted &= np.isin(seen.class_ids, list(self._keep))
        boxes = _clip(seen.boxes[wanted], width, height)
        ids, scores = seen.class_ids[wanted].tolist(), seen.scores[wanted].tolist()
        names = self._description.classes
        found = [
            Detection(names.get(i, unnamed(i)), i, score, box, focus)
            for i, score, box, focus in zip(
                ids,
                scores,
                boxes,
                measure_focus(heat, boxes, width=width, height=height),
                strict=True,
            )
        ]
        return tuple(sorted(found, key=lambda detection: -detection.confidence))


def _save_activations(
    forward: Forward, frames: Sequence[Frame], due: Sequence[bool]
) -> SavedActivations | None:
    indices = [index for index, is_due in enumerate(due) if is_due]
    if not indices:
        return None
    return SavedActivations.of(forward, indices, [frames[index].picture for index in indices])


def _clip(boxes: Floats, width: int, height: int) -> list[Box]:
    limits = np.array([width, height, width, height], dtype=np.float32)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in np.clip(boxes, 0, limits).tolist()]
