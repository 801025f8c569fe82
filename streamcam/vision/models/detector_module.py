"""A detector of any family as a torch module, for tools that hook into one."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from streamcam.vision.models.detector import Detector


class DetectorModule(nn.Module):
    """A detector with the interface of torchvision's, computing in float32.

    Attributes:
        levels: A part whose output is the feature maps by level, of every forward pass.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.levels = nn.Identity()
        # Tools look for a module's device at its first parameter.
        self.place = nn.Parameter(torch.empty(0, device=detector.device), requires_grad=False)
        self._detector = detector

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """The boxes, labels and scores of images, float [3, height, width], 0..1."""
        detector = self._detector
        inputs = detector.preprocess([_to_bytes(image) for image in images])
        with detector.network.in_float32():
            forward = detector.forward(inputs)
        self.levels(forward.levels)
        return [
            {"boxes": found.boxes, "labels": found.class_ids, "scores": found.scores}
            for found in forward.detections
        ]


def _to_bytes(image: Tensor) -> Tensor:
    # Channels last, as pictures come.
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().permute(2, 0, 1)


def join_as_published(levels: Mapping[str, Tensor], level: str) -> Tensor:
    """pytorch_grad_cam's `fasterrcnn_reshape_transform`, on the grid of a level of any name.

    Returns:
        [batch, channels of all levels, rows, columns].
    """
    size = levels[level].shape[-2:]
    resized = [
        nn.functional.interpolate(one.abs(), size, mode="bilinear") for one in levels.values()
    ]
    return torch.cat(resized, dim=1)
