"""What goes into the engine's stages and comes out of them, and what describes the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.types import Frame
from streamcam.vision.cam.eigencam import FrameComponents
from streamcam.vision.cam.stabilizer import Floats
from streamcam.vision.methods.saved_activations import SavedActivations
from streamcam.vision.models.detector import Forward
from streamcam.vision.models.preprocess import NetworkInput


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """The engine's parts and settings, for manifests and for people."""

    model: str
    weights: str  # where the weights are from: a file's name or path, or "random"
    weights_sha256: str | None  # of the weights' file; None for random weights
    classes: Mapping[int, str]  # names by class id, as the model counts
    method: str
    device: str  # where it runs, with the GPU's name
    precision: str  # "fp32", "fp16", "bf16" or "int8"
    confidence: float  # score from which a detection counts
    grid: str
    batch: int  # the most pictures in one forward
    versions: Mapping[str, str]  # of torch and torchvision
    preset: float = 0.5  # the confidence that the model recommends
    labels_sha256: str | None = None  # of the user's file with the classes' names
    quantization: Mapping[str, Any] | None = None  # what an int8 model was made of
    replayed: str | None = None  # the precision of the network that the method explains, if another


@dataclass(frozen=True, slots=True)
class FrameInputs:
    """Frames of one forward pass, their pictures on the device."""

    frames: Sequence[Frame]
    due: Sequence[bool]  # whether their boxes are to be explained
    network_input: NetworkInput


@dataclass(frozen=True, slots=True)
class FrameOutputs:
    """Frames of one forward pass and what it gave, still on the device."""

    frames: Sequence[Frame]
    due: Sequence[bool]
    forward: Forward
    saved: SavedActivations | None  # of the frames that are due


Inputs = Sequence[FrameInputs]
"""What `Engine.preprocess` gives: a batch, in as few forward passes as the memory allows."""

Outputs = Sequence[FrameOutputs]
"""What `Engine.forward` gives."""


@dataclass(frozen=True, slots=True)
class HostOutputs:
    """The outputs of one frame as arrays, in the shapes of `Candidates` and `FrameComponents`."""

    boxes: Floats
    scores: Floats
    class_ids: npt.NDArray[np.int64]
    directions: Floats
    maps: Floats
    shares: Floats


def download(forward: Forward, candidates: Sequence[FrameComponents]) -> list[HostOutputs]:
    """Copy the outputs of a forward pass and the components of its maps, frame by frame."""
    tensors: list[Tensor] = []
    for found, own in zip(forward.detections, candidates, strict=True):
        tensors += [found.boxes, found.scores, found.class_ids.float()]
        tensors += [own.directions, own.maps, own.shares]
    arrays = iter(_on_host(tensors))
    return [
        HostOutputs(boxes, scores, ids.astype(np.int64), directions, maps, shares)
        for boxes, scores, ids, directions, maps, shares in zip(*[arrays] * 6, strict=True)
    ]


def _on_host(tensors: Sequence[Tensor]) -> list[Floats]:
    """Tensors as arrays; of a GPU in one transfer, since each one waits for the device."""
    if all(tensor.is_cpu for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    flat = torch.cat([tensor.flatten() for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([0, *(tensor.numel() for tensor in tensors)])
    return [
        flat[start:end].reshape(tuple(tensor.shape))
        for (start, end), tensor in zip(pairwise(ends), tensors, strict=True)
    ]
