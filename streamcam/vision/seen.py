"""What a batch gave, brought to the host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.vision.cam.eigencam import FrameComponents
from streamcam.vision.models.torchvision import Forward

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HostOutputs:
    """What is known of one frame, on the host."""

    boxes: Floats
    scores: Floats
    class_ids: npt.NDArray[np.int64]
    directions: Floats
    maps: Floats
    shares: Floats


def download(forward: Forward, candidates: Sequence[FrameComponents]) -> list[HostOutputs]:
    """Everything that a batch gave, in one transfer."""
    fields: tuple[Callable[[int], Tensor], ...] = (
        lambda i: forward.boxes[i],
        lambda i: forward.scores[i],
        lambda i: forward.class_ids[i].float(),
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
    """Tensors as arrays; from a GPU all together, since each transfer is waited for."""
    if all(tensor.is_cpu for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    flat = torch.cat([tensor.flatten() for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([0, *(tensor.numel() for tensor in tensors)])
    return [
        flat[start:end].reshape(tuple(tensor.shape))
        for (start, end), tensor in zip(pairwise(ends), tensors, strict=True)
    ]
