"""A detector of any family: images in, detections and feature maps out, in one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from streamcam.types import Picture
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Candidates, Levels, Network, Raw
from streamcam.vision.models.preprocess import NetworkInput, Preprocessor

_MAX_DETECTIONS = 100
"""Most boxes of an image after suppression, as COCO's evaluation counts."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Outputs of one forward pass of a batch, all on the detector's device."""

    detections: Sequence[Candidates]  # per image its boxes, scores falling
    levels: Levels  # the feature maps, in the precision of the convolutions
    placements: Sequence[Letterbox]  # per image where it lies on the network's canvas


class Detector:
    """A network with its preprocessing, its threshold (`confidence`, 0..1) and its suppression."""

    def __init__(self, network: Network, confidence: float) -> None:
        self.network = network
        self._confidence = confidence
        self._preprocessor = Preprocessor(network.sizing, network.device)

    def __call__(self, pictures: Sequence[Picture]) -> Forward:
        """Detect in images of any sizes, in one forward pass.

        Raises:
            torch.OutOfMemoryError: The batch is too large for the device.
        """
        return self.forward(self.preprocess(self.upload(pictures)))

    @property
    def confidence(self) -> float:
        """The score from which detections are given, 0..1."""
        return self._confidence

    @property
    def device(self) -> torch.device:
        return self.network.device

    def upload(self, pictures: Sequence[Picture]) -> list[Tensor]:
        return self._preprocessor.upload(pictures)

    def preprocess(self, images: Sequence[Tensor]) -> NetworkInput:
        """Make the network's input of images that `upload` gave. From any thread."""
        return self._preprocessor(images)

    def forward(self, inputs: NetworkInput) -> Forward:
        """Run the network once.

        Raises:
            torch.OutOfMemoryError: The batch is too large for the device.
        """
        with torch.inference_mode():
            raw, levels = self.network.forward(inputs.canvas, inputs.placements)
            detections = self._detections(raw, inputs.placements, self._confidence)
        return Forward(detections, levels, inputs.placements)

    def lower_confidence(self, confidence: float) -> None:
        """Give detections from this score on, if it is lower than the one before. Any thread."""
        self._confidence = min(self._confidence, confidence)

    def canvas(self, picture: Picture) -> tuple[Tensor, Letterbox]:
        """The network's input for one image, [1, 3, height, width], and its place on that."""
        inputs = self.preprocess(self.upload([picture]))
        return inputs.canvas, inputs.placements[0]

    def levels_of_greys(self, canvas: Size, greys: Sequence[int]) -> Levels:
        """The feature maps of a batch of empty images (0..255) that fill a canvas.

        Raises:
            UsageError: The network gives other levels than it declares.
        """
        pixels = torch.tensor(greys, dtype=torch.float32, device=self.device)
        images = pixels[:, None, None, None].expand(-1, 3, *canvas)
        with torch.inference_mode():
            levels = self.network.features(self._preprocessor.normalize(images))
        self.network.levels.check(levels, canvas)
        return levels

    def detect_on_canvas(
        self, canvas: Tensor, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        """Detect on network inputs that were changed, float32 [batch, 3, height, width]."""
        with torch.inference_mode():
            raw, _ = self.network.forward(canvas, placements)
            return self._detections(raw, placements, threshold)

    def detect_from_levels(
        self, levels: Levels, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        """Detect from feature maps that were changed, in float32.

        Half precision would lose small gradients. With gradients enabled the result depends on the
        levels that require them: the network's own weights never do.
        """
        raw = self.network.from_levels(levels, placements)
        return self._detections(raw, placements, threshold)

    def close(self) -> None:
        self.network.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _detections(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        found = self.network.decode(raw, placements, threshold)
        if self.network.suppress is not None:
            found = suppress(found, self.network.suppress)
        return [_clip(one, placement) for one, placement in zip(found, placements, strict=True)]


def _clip(found: Candidates, placement: Letterbox) -> Candidates:
    """The same detections, their boxes cut off at the image's edges."""
    return Candidates(
        clip_boxes_to_image(found.boxes, placement.original), found.scores, found.class_ids
    )


def suppress(
    candidates: Sequence[Candidates], overlap: float, limit: int = _MAX_DETECTIONS
) -> list[Candidates]:
    """Non-maximum suppression, class by class: of two boxes that overlap the weaker is dropped.

    `overlap` is the intersection over union, 0..1, above which two boxes are one object. At most
    `limit` boxes of each image are left, scores falling.
    """
    counts = [len(one.scores) for one in candidates]
    boxes = torch.cat([one.boxes for one in candidates])
    scores = torch.cat([one.scores for one in candidates])
    class_ids = torch.cat([one.class_ids for one in candidates])
    images = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    images = images.to(boxes.device)
    classes, ranks = torch.unique(class_ids, return_inverse=True)
    # `batched_nms` separates groups by shifting their boxes: small group numbers keep coordinates
    # exact.
    kept = batched_nms(boxes.detach(), scores.detach(), images * len(classes) + ranks, overlap)
    chosen = [kept[images[kept] == image][:limit] for image in range(len(counts))]
    return [Candidates(boxes[own], scores[own], class_ids[own]) for own in chosen]
