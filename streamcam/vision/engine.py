"""Frames in, explained frames out."""

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Self

import numpy as np
import torch

from streamcam.cam_methods import EIGENCAM
from streamcam.errors import DeviceError
from streamcam.types import Box, Detection, Explanation, Frame, FrameResult, HeatMap
from streamcam.vision.cam.eigencam import EigenCam, blank_baseline
from streamcam.vision.cam.focus import map_peak, measure_focus
from streamcam.vision.cam.stabilizer import Floats, MapStabilizer
from streamcam.vision.cpu.tuning import saturates_cpu, threads_for
from streamcam.vision.devices import computing_threads, device_errors, torch_threads
from streamcam.vision.engine_io import (
    EngineDescription,
    FrameInputs,
    FrameOutputs,
    HostOutputs,
    Inputs,
    Outputs,
    download,
)
from streamcam.vision.methods.attribution import Attribution
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.models.checkpoints import unnamed
from streamcam.vision.models.detector import Detector, Forward

_log = logging.getLogger(__name__)


class Engine:
    """Explains frames of many sources in three stages: preprocess, forward, postprocess.

    Each stage may run in a thread of its own; batches come to each in the same order. `forget`
    belongs to the thread of `postprocess`.

    Args:
        description: For records; replaced when the confidence is lowered.
        keep: The class ids that are wanted, None for all.
        attribution: Explains boxes after the forward pass; None for EigenCAM alone.

    Attributes:
        batch: The most pictures in one forward: as asked for, or fewer if that is quicker or the
            device's memory forbids more.
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
        self.detector = detector
        self.cam = cam
        self.description = description
        self._keep = keep
        self._attribution = attribution
        # Where one picture keeps all cores busy, several at once or a map beside it only disturb.
        self._fills_a_cpu = saturates_cpu(detector)
        self.batch = 1 if self._fills_a_cpu else description.batch
        self._threads = threads_for(detector)
        self._warned = False
        # Attribution runs the network too.
        self._network = threading.Lock()
        self._stabilizer = MapStabilizer(baseline=blank_baseline(detector, cam))

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
        """Bring frames to the device, as the network wants them; raises what `explain` raises."""
        due = self._attribution.due(frames) if self._attribution else [False] * len(frames)
        return self._preprocess_parts(frames, due)

    def forward(self, inputs: Inputs) -> Outputs:
        """Run the network: detections and feature maps, still on the device."""
        return [done for part in inputs for done in self._forward_or_split(part)]

    def postprocess(self, outputs: Outputs) -> list[FrameResult]:
        """Make the maps and the results, in the frames' order."""
        with computing_threads(torch_threads()):
            return [result for part in outputs for result in self._results(part)]

    def lower_confidence(self, confidence: float) -> None:
        """Give detections from this score on, if it is lower than the one before. Any thread."""
        if confidence < self.description.confidence:
            self.detector.lower_confidence(confidence)
            self.description = replace(self.description, confidence=confidence)

    def forget(self, source: str) -> None:
        self._stabilizer.forget(source)
        if self._attribution is not None:
            self._attribution.forget(source)

    def close(self) -> None:
        self.detector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def forwarding(self) -> Iterator[None]:
        """Use the network alone, with as many threads as are good for it."""
        with self._network, computing_threads(self._threads):
            yield

    def _preprocess_parts(self, frames: Sequence[Frame], due: Sequence[bool]) -> list[FrameInputs]:
        """Preprocess frames for as few forward passes as the device's memory allows."""
        done: list[FrameInputs] = []
        start = 0
        while start < len(frames):
            part = slice(start, start + self.batch)
            try:
                done.append(self._preprocess(frames[part], due[part]))
                start = part.stop
            except torch.OutOfMemoryError:
                self._shrink(len(frames[part]))
        return done

    def _preprocess(self, frames: Sequence[Frame], due: Sequence[bool]) -> FrameInputs:
        # In this thread alone: another batch is in the forward pass meanwhile.
        with device_errors(), computing_threads(1):
            pictures = self.detector.upload([frame.picture for frame in frames])
            return FrameInputs(frames, due, self.detector.preprocess(pictures))

    def _forward_or_split(self, part: FrameInputs) -> list[FrameOutputs]:
        """Run frames in one forward pass; in several where the device's memory forbids that."""
        if len(part.frames) <= self.batch:
            try:
                return [self._forward(part)]
            except torch.OutOfMemoryError:
                self._shrink(len(part.frames))
        return list(self.forward(self._preprocess_parts(part.frames, part.due)))

    def _forward(self, part: FrameInputs) -> FrameOutputs:
        with device_errors(), torch.inference_mode(), self.forwarding():
            forward = self.detector.forward(part.network_input)
            saved = _save_activations(forward, part.frames, part.due)
            return FrameOutputs(part.frames, part.due, forward, saved)

    def _results(self, part: FrameOutputs) -> list[FrameResult]:
        try:
            on_host = self._download(part)
        except torch.OutOfMemoryError:
            self._shrink(len(part.frames))
            again = self._preprocess_parts(part.frames, part.due)
            return self.postprocess(self.forward(again))
        results = [self.result(f, s) for f, s in zip(part.frames, on_host, strict=True)]
        if self._attribution is None:
            return results
        exclusive = self._network if any(part.due) else nullcontext()
        with device_errors(), exclusive:
            return self._attribution.apply(results, part.saved, part.due)

    def _download(self, part: FrameOutputs) -> list[HostOutputs]:
        """The components of each frame's map, and its detections, on the host."""
        guesses = self.guesses(part.frames)
        exclusive = self._network if self._fills_a_cpu else nullcontext()
        with device_errors(), torch.inference_mode(), exclusive:
            forward = part.forward
            return download(forward, self.cam(forward.levels, forward.placements, guesses))

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise DeviceError(
                "the GPU has no room for a single frame",
                hint="Close what else uses it, or take a smaller model.",
            )
        # The stages may find out in any order.
        self.batch = min(self.batch, tried // 2)
        if self.detector.device.type == "cuda":
            torch.cuda.empty_cache()
        _log.warning("the GPU has no room for %d frames at once; %d from now on", tried, self.batch)

    def guesses(self, frames: Sequence[Frame]) -> list[Floats | None]:
        """Start vectors of each frame's search for directions: those of its source's last frame."""
        return [self._stabilizer.guess(frame.source) for frame in frames]

    def result(self, frame: Frame, outputs: HostOutputs) -> FrameResult:
        """Make a frame's result of its outputs; frames of one source come in their order."""
        height, width = frame.picture.shape[:2]
        if not np.isfinite(outputs.shares).all():
            return self._result_without_map(frame, outputs)
        stabilized = self._stabilizer.stabilize(
            frame, outputs.directions, outputs.maps, outputs.shares
        )
        heat = stabilized.heat
        explanation = Explanation(
            method=EIGENCAM,
            map=heat,
            explained_variance=float(outputs.shares[stabilized.component]),
            flicker=stabilized.flicker,
            peak=map_peak(heat, width, height),
        )
        detections = self._detections(outputs, heat, width, height)
        return FrameResult(frame, detections, explanation, new_shot=stabilized.flicker is None)

    def _result_without_map(self, frame: Frame, outputs: HostOutputs) -> FrameResult:
        """Make the result of a frame whose feature maps are not finite; its shot goes on."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s, frame %d: the feature maps are not finite; such frames have no map",
                *(frame.source, frame.index),
            )
        height, width = frame.picture.shape[:2]
        heat = np.zeros(outputs.maps.shape[1:], np.float32)
        peak = map_peak(heat, width, height)
        explanation = Explanation(EIGENCAM, heat, None, None, peak, has_map=False)
        detections = self._detections(outputs, heat, width, height)
        return FrameResult(frame, detections, explanation, new_shot=frame.discontinuity)

    def _detections(
        self, outputs: HostOutputs, heat: HeatMap, width: int, height: int
    ) -> tuple[Detection, ...]:
        wanted = outputs.scores >= self.description.confidence
        wanted &= np.isfinite(outputs.boxes).all(axis=1)
        if self._keep is not None:
            wanted &= np.isin(outputs.class_ids, list(self._keep))
        boxes = _clip(outputs.boxes[wanted], width, height)
        ids, scores = outputs.class_ids[wanted].tolist(), outputs.scores[wanted].tolist()
        focuses = measure_focus(heat, boxes, width=width, height=height)
        names = self.description.classes
        found = [
            Detection(names.get(i, unnamed(i)), i, score, box, focus)
            for i, score, box, focus in zip(ids, scores, boxes, focuses, strict=True)
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
