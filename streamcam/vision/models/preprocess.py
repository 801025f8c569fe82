"""From images of bytes to the network's canvas."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from streamcam.types import Picture
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Sizing

# Numbers of a picture up to which it is resized in float32; a larger one (4K has 25 million) is
# resized as bytes, which rounds to whole grey levels and takes a quarter of the memory.
_MAX_FLOATS = 32_000_000


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The images of a batch, ready for the network."""

    canvas: Tensor  # float32 [batch, 3, height, width], normalised; padded where images are smaller
    placements: Sequence[Letterbox]  # where each image lies on it

    def __len__(self) -> int:
        return len(self.placements)


class Preprocessor:
    """Resizes, normalises and pads images as a network wants them.

    Bytes are resized first and normalised then, which for 1080p is a fifth of the work of the usual
    order; both steps are linear and a resize's weights sum to one, so the numbers are the same.
    """

    def __init__(self, sizing: Sizing, device: torch.device) -> None:
        self._sizing = sizing
        self._device = device

    def upload(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """Bring images to the device, each uint8 [3, height, width]; does not wait for it."""
        with torch.inference_mode():
            return [self._upload(picture) for picture in pictures]

    def __call__(self, images: Sequence[Tensor]) -> NetworkInput:
        """Make the canvas of uint8 images [3, height, width] of any sizes, on the device."""
        with torch.inference_mode():
            sizes = [self._sizing.resized((image.shape[1], image.shape[2])) for image in images]
            canvas = self._sizing.canvas or self._canvas_size(sizes)
            placements = [
                Letterbox(
                    (image.shape[1], image.shape[2]), size, canvas, self._offset(size, canvas)
                )
                for image, size in zip(images, sizes, strict=True)
            ]
            make = self._on_gpu if any(image.is_cuda for image in images) else self._on_cpu
            return NetworkInput(make(images, placements, canvas), placements)

    def normalize(self, image: Tensor) -> Tensor:
        """Normalise float values 0..255, [..., 3, height, width], channels as the network's."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=image.device)[:, None, None]
            for values in (self._sizing.mean, self._sizing.std)
        )
        return (image - mean) / std

    def _upload(self, picture: Picture) -> Tensor:
        pixels = torch.from_numpy(picture)
        if self._device.type == "cuda":
            pixels = pixels.pin_memory().to(self._device, non_blocking=True)
        return pixels.permute(2, 0, 1)

    def _canvas_size(self, sizes: Sequence[Size]) -> Size:
        multiple = self._sizing.multiple
        height, width = (
            math.ceil(max(sides) / multiple) * multiple for sides in zip(*sizes, strict=True)
        )
        return height, width

    def _offset(self, size: Size, canvas: Size) -> Size:
        if not self._sizing.centred:
            return (0, 0)
        return (canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2

    def _padding(self) -> tuple[float, ...]:
        """The padding's normalised value by channel."""
        sizing = self._sizing
        if sizing.pad is None:
            return (0.0, 0.0, 0.0)
        return tuple(
            (sizing.pad - mean) / std for mean, std in zip(sizing.mean, sizing.std, strict=True)
        )

    def _on_gpu(
        self, images: Sequence[Tensor], placements: Sequence[Letterbox], canvas: Size
    ) -> Tensor:
        padding = torch.tensor(self._padding(), device=images[0].device)
        pixels = padding[None, :, None, None].repeat(len(images), 1, *canvas)
        for image, placement, place in zip(images, placements, pixels, strict=True):
            (top, left), (rows, columns) = placement.offset, placement.resized
            colours = image.flip(0) if self._sizing.bgr else image
            small = self._resize(colours, placement.resized)
            place[:, top : top + rows, left : left + columns] = self.normalize(small)
        return pixels

    def _on_cpu(
        self, images: Sequence[Tensor], placements: Sequence[Letterbox], canvas: Size
    ) -> Tensor:
        """The same on a CPU, channels last as convolutions want them.

        OpenCV's resize is bilinear as torch's, to 0.02 grey levels, in a third of the time; each
        row is normalised as it is written to its place, and what lies between is overwritten by the
        next image: fresh memory would cost as much as the resize. All in all 1.1 instead of 1.9 ms
        for 768x432 and nano.
        """
        height, width = canvas
        pixels = torch.empty((len(images), height, width * 3))
        padding = torch.tensor(self._padding()).repeat(width)
        factor = 1 / torch.tensor(self._sizing.std)
        addend = -torch.tensor(self._sizing.mean) * factor
        full = small = np.empty((0, 0, 3), np.float32)
        for image, placement, place in zip(images, placements, pixels, strict=True):
            (top, left), (rows, columns) = placement.offset, placement.resized
            picture = image.permute(1, 2, 0).numpy()
            small = _sized(small, (rows, columns, 3))
            if self._sizing.antialias:
                resized = self._resize(image, placement.resized)
                np.copyto(small, self._ordered(resized.permute(1, 2, 0).numpy()))
            elif self._sizing.rounded or picture.size > _MAX_FLOATS:
                np.copyto(small, self._ordered(cv2.resize(picture, (columns, rows))))
            else:
                full = _sized(full, picture.shape)
                np.copyto(full, self._ordered(picture))
                cv2.resize(full, (columns, rows), dst=small)
            flat = torch.from_numpy(small.reshape(rows, -1))
            bottom, right = top + rows, left + columns
            part = place[top:bottom, left * 3 : right * 3]
            torch.addcmul(addend.repeat(columns), flat, factor.repeat(columns), out=part)
            place[:top], place[bottom:] = padding, padding
            place[top:bottom, : left * 3] = padding[: left * 3]
            place[top:bottom, right * 3 :] = padding[right * 3 :]
        return pixels.reshape(len(images), height, width, 3).permute(0, 3, 1, 2)

    def _resize(self, image: Tensor, size: Size) -> Tensor:
        if self._sizing.antialias:
            # Bytes, rounded again, as the processors of transformers do it.
            shrunk: Tensor = resize(image, list(size), antialias=True)
            return shrunk
        small = functional.interpolate(
            image[None].float(), size, mode="bilinear", align_corners=False
        )
        return small[0].round() if self._sizing.rounded else small[0]

    def _ordered(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The picture with its channels in the network's order."""
        return picture[..., ::-1] if self._sizing.bgr else picture


def _sized(scratch: npt.NDArray[np.float32], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    return scratch if scratch.shape == tuple(shape) else np.empty(shape, np.float32)
