"""Copies a batch's detections and maps to NumPy in one transfer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.vision.cam.eigencam import FrameComponents
from streamcam.vision.models.detector import Forward

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HostOutputs:
    """The outputs of one frame as arrays.

    Attributes:
        boxes: [count, 4]: x1, y1, x2, y2 in pixels of the frame.
        scores: [count], 0..1.
        class_ids: [count].
        directions: [components, channels], unit length, signs arbitrary.
        maps: [components, rows, columns], spanning the frame.
        shares: [components], of the variance.
    """

    boxes: Floats
    scores: Floats
    class_ids: npt.NDArray[np.int64]
    directions: Floats
    maps: Floats
    shares: Floats


def download(forward: Forward, candidates: Sequence[FrameComponents]) -> list[HostOutputs]:
    """Copy the outputs of a forward pass and the components of its maps, frame by frame."""
    fields: tuple[Callable[[int], Tensor], ...] = (
        lambda i: forward.detections[i].boxes,
        lambda i: forward.detections[i].scores,
        lambda i: forward.detections[i].class_ids.float(),
        lambda i: candidates[i].directions,
        lambda i: candidates[i].maps,
        lambda i: candidates[i].shares,
    )
    tensors = [field(i) for i in range(len(candidates)) for field in fields]
    arrays = _on_host(tensors)
    size = len(fields)
    return [
        HostOutputs(boxes, scores, ids.astype(np.int64), directions, maps, shares)
        for boxes, scores, ids, directions, maps, shares in (
            arrays[first : first + size] for first in range(0, len(arrays), size)
        )
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
