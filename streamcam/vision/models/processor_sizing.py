"""The preprocessing that an image processor of transformers describes."""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch

from streamcam.vision.cam.geometry import Size
from streamcam.vision.models.network import Sizing

ImageProcessor: TypeAlias = Any

# Processors that leave out the antialiasing of all others.
_NOT_ANTIALIASED = frozenset({"RfDetrImageProcessor"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProcessorSizing(Sizing):
    """The sizing of an image processor of transformers, which is asked for each resized size."""

    processor: ImageProcessor

    def resized(self, size: Size) -> Size:
        if not self.processor.do_resize:
            return size
        # On this device only shapes are computed.
        image = torch.empty((3, *size), dtype=torch.uint8, device="meta")
        try:
            resized = self.processor.resize(image, self.processor.size, self.processor.resample)
        except (RuntimeError, ValueError):
            # Processors of transformers cannot resize pictures of a few pixels' width.
            return Sizing.resized(self, size)
        return resized.shape[1], resized.shape[2]

    def at(self, side: int) -> Sizing:
        if self.canvas is not None:
            return Sizing.at(self, side)
        whole = math.ceil(side / self.multiple) * self.multiple
        stretched = {"height": whole, "width": whole}
        fitted = {"shortest_edge": side, "longest_edge": side}
        settings = self.processor.to_dict()
        settings["size"] = stretched if self.processor.size.height else fitted
        processor = type(self.processor).from_dict(settings)
        return replace(self, shortest=side, longest=side, processor=processor)


def sizing_of(processor: ImageProcessor, multiple: int, canvas: Size | None) -> ProcessorSizing:
    """The sizing that an image processor does.

    Args:
        processor: The image processor.
        multiple: Of which the model needs the canvas's sides.
        canvas: The only one that the model takes; None for any.
    """
    grey = 1 / processor.rescale_factor if processor.do_rescale else 1.0
    normal = processor.do_normalize
    mean = [value * grey for value in processor.image_mean] if normal else [0.0] * 3
    std = [value * grey for value in processor.image_std] if normal else [grey] * 3
    padded = getattr(processor, "pad_size", None) if processor.do_pad else None
    if padded is not None:
        canvas = (padded["height"], padded["width"])
    largest = _largest(processor)
    return ProcessorSizing(
        shortest=largest[0],
        longest=largest[1],
        multiple=multiple,
        canvas=canvas,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        antialias=type(processor).__name__ not in _NOT_ANTIALIASED,
        processor=processor,
    )


def _largest(processor: ImageProcessor) -> Size:
    """Height and width of the largest resized image."""
    size = processor.size
    height = size.height or size.max_height or size.shortest_edge
    return height, size.width or size.max_width or size.longest_edge or height
