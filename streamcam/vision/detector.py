"""One forward of a detector, giving boxes and the activations that the maps are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from streamcam.records import Picture
from streamcam.vision.geometry import Placement
from streamcam.vision.transform import BytesTransform
from streamcam.vision.zoo import Activations


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward of a batch gave, all on the detector's device.

    Attributes:
        boxes: Per picture float32 [found, 4]: x1, y1, x2, y2 in the original picture's pixels.
        scores: Per picture float32 [found], 0..1, falling.
        class_ids: Per picture int64 [found].
        levels: The activations by pyramid level, each [batch, channels, rows, columns].
        placements: Per picture where it lies on the network's canvas.
    """

    boxes: list[Tensor]
    scores: list[Tensor]
    class_ids: list[Tensor]
    levels: Mapping[str, Tensor]
    placements: list[Placement]


class Detector:
    """A network of torchvision's interface, watched while it works.

    Args:
        model: Takes a list of pictures, gives a list of boxes, scores and labels.
        activations: Where in the model the maps come from.
        device: Where it runs.
        precision: The type of its convolutions: float32, float16 or bfloat16 (by autocast).
        confidence: Detections below this score are not made.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        activations: Activations,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        confidence: float,
    ) -> None:
        self.activations = activations
        self.device = device
        self.precision = precision
        self._confidence = confidence
        self._model = (
            model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        )
        self._transform = BytesTransform.like(model.transform)
        self._model.transform = self._transform
        _set_score_threshold(model, confidence)
        self._seen: Mapping[str, Tensor] | None = None
        self._hook = model.get_submodule(activations.module).register_forward_hook(self._see)

    def _see(self, _module: nn.Module, _inputs: object, output: Mapping[str, Tensor]) -> None:
        self._seen = output

    def __call__(self, pictures: Sequence[Picture]) -> Forward:
        """Look at pictures of any sizes in one forward.

        Raises:
            torch.OutOfMemoryError: The batch is too large for the device.
        """
        with torch.inference_mode(), self._autocast():
            found = self._model([self._upload(picture) for picture in pictures])
        levels, self._seen = self._seen, None
        assert levels is not None, "the hooked module took no part in the forward"
        return Forward(
            boxes=[f["boxes"].float() for f in found],
            scores=[f["scores"].float() for f in found],
            class_ids=[f["labels"] for f in found],
            levels=levels,
            placements=self._transform.placed,
        )

    def _upload(self, picture: Picture) -> Tensor:
        pixels = torch.from_numpy(picture)
        if self.device.type == "cuda":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        return pixels.permute(2, 0, 1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        )

    def close(self) -> None:
        """Stop watching the model."""
        self._hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _set_score_threshold(model: nn.Module, confidence: float) -> None:
    """Spare the suppression of boxes that nobody will see (it only ever drops the weaker box)."""
    owner = getattr(model, "roi_heads", model)
    owner.score_thresh = confidence
