"""One forward of a detector, giving boxes and the activations that the maps are made of."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from streamcam.types import Picture
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.fusion import fuse_convolutions
from streamcam.vision.cpu.optimize import (
    add_half_precision_copies,
    convolution_chains,
    drop_half_precision_copies,
    fold_batch_norms,
    half_precision_copies,
)
from streamcam.vision.cpu.roi_align import pool_by_rows
from streamcam.vision.models.torchvision_partial import Found, PartialForward
from streamcam.vision.models.torchvision_transform import BytesTransform, Prepared

# The modules whose outputs become boxes and scores. Eight bits of mantissa are enough for
# convolutions, not for coordinates: from here on everything is float32.
_HEADS = ("rpn.head", "roi_heads.box_predictor", "head")

# What holds as many weights as the backbone, beside it.
_HEAVY = ("roi_heads.box_head",)

Levels = Mapping[str, Tensor]
"""Activations by pyramid level, each [batch, channels, rows, columns]."""


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward of a batch gave, all on the detector's device.

    Attributes:
        boxes: Per picture float32 [found, 4]: x1, y1, x2, y2 in the original picture's pixels.
        scores: Per picture float32 [found], 0..1, falling.
        class_ids: Per picture int64 [found].
        levels: The activations, in the precision of the convolutions.
        placements: Per picture where it lies on the network's canvas.
    """

    boxes: list[Tensor]
    scores: list[Tensor]
    class_ids: list[Tensor]
    levels: Levels
    placements: Sequence[Letterbox]


class Detector:
    """A network of torchvision's interface, watched while it works.

    It takes the network over: evaluation mode, batch norms folded, channels-last weights (a
    ResNet-50's forward takes a third less on a CPU with bfloat16 units), on a CPU boxes pooled by
    rows and half precision's convolutions fused with what follows them, bytes for input, no masks
    and no key points.

    Args:
        network: Takes a list of pictures, gives a list of boxes, scores and labels.
        watched: Path of the module in it whose output is the activations.
        device: Where it runs.
        dtype: The type of its convolutions: float32, float16 or bfloat16 (by autocast).
        confidence: Detections below this score are not made.
        fuse: Fuse convolutions on a CPU in half precision. Their weights can then neither be read
            nor changed.

    Attributes:
        weights: How many the network has.
        pixels: The most that it sees of one picture.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        watched: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        confidence: float,
        fuse: bool = True,
    ) -> None:
        self.device = device
        self._dtype = dtype
        self._network = network.eval().requires_grad_(False).to(device)
        self.weights = sum(weight.numel() for weight in network.parameters())
        self._lighten(watched, fuse=fuse)
        self.admit(confidence)
        self._transform = BytesTransform.like(network.transform)
        network.transform = self._transform
        self.pixels = self._transform.most_pixels
        self._watched = network.get_submodule(watched)
        self._replay = PartialForward(network, watched)
        self._seen: Levels | None = None
        self._hooks = [self._watched.register_forward_hook(self._see), *self._float_heads()]

    def __call__(self, pictures: Sequence[Picture]) -> Forward:
        """Look at pictures of any sizes in one forward.

        Raises:
            torch.OutOfMemoryError: The batch is too large for the device.
        """
        return self.look(self.prepare(self.upload(pictures)))

    def upload(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """Bring pictures to the device, each uint8 [3, height, width]; does not wait for it."""
        with torch.inference_mode():
            return [self._upload(picture) for picture in pictures]

    def prepare(self, pictures: Sequence[Tensor]) -> Prepared:
        """Make pictures that are on the device, as `upload` gives them, ready to be looked at.

        May be called from another thread than the rest.
        """
        with torch.inference_mode():
            return self._transform.prepare(pictures)

    def look(self, pictures: Prepared) -> Forward:
        """Look at prepared pictures.

        Raises:
            torch.OutOfMemoryError: The batch is too large for the device.
        """
        with torch.inference_mode(), self._autocast():
            found = self._network(pictures)
        return Forward(
            boxes=[one["boxes"].float() for one in found],
            scores=[one["scores"].float() for one in found],
            class_ids=[one["labels"] for one in found],
            levels=self._take(),
            placements=pictures.placements,
        )

    def admit(self, confidence: float) -> None:
        """Make detections from this score on.

        Suppression only ever drops the weaker of two boxes, so the threshold may as well come
        before it.
        """
        heads = getattr(self._network, "roi_heads", self._network)
        heads.score_thresh = confidence

    def levels_of_greys(self, side: int, greys: Sequence[int]) -> Levels:
        """The activations of a batch of empty pictures (0..255) that fill a square canvas."""
        pixels = torch.tensor(greys, dtype=torch.float32, device=self.device)
        pictures = pixels[:, None, None, None].expand(-1, 3, side, side)
        return self.levels(torch.stack([self._transform.normalize(p) for p in pictures]))

    def levels(self, canvas: Tensor) -> Levels:
        """The activations of prepared pictures, float32 [batch, 3, height, width], normalised."""
        with torch.inference_mode(), self._autocast():
            self._watched(canvas)
        return self._take()

    def canvas(self, picture: Picture) -> tuple[Tensor, Letterbox]:
        """Prepare a picture: float32 [1, 3, height, width], normalised, and its place on that."""
        prepared = self.prepare(self.upload([picture]))
        return prepared.canvas, prepared.placements[0]

    def look_again(
        self, canvas: Tensor, placements: Sequence[Letterbox], least: float
    ) -> list[Found]:
        """Look at prepared pictures that were changed; see `PartialForward.on_canvas`."""
        try:
            with torch.inference_mode(), self._autocast():
                return self._replay.on_canvas(canvas, placements, least)
        finally:
            self.drop()

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Compute in float32 for a while."""
        own, self._dtype = self._dtype, torch.float32
        try:
            yield
        finally:
            self._dtype = own

    def stay_in_float32(self) -> None:
        """Compute in float32 from now on."""
        self._dtype = torch.float32
        drop_half_precision_copies(self._network)

    def go_on(self, levels: Levels, placements: Sequence[Letterbox], least: float) -> list[Found]:
        """Go on from activations that were changed, in float32; see `PartialForward.on_levels`.

        Half precision would lose small gradients. With gradients enabled the result depends on the
        levels that require them: the network's own weights never do.
        """
        return self._replay.on_levels(levels, placements, least)

    @property
    def network(self) -> nn.Module:
        """What works inside; who uses it directly calls `drop` afterwards."""
        return self._network

    def drop(self) -> None:
        """Let go of activations that nobody took."""
        self._seen = None

    def close(self) -> None:
        """Stop watching the network. Idempotent."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _lighten(self, watched: str, *, fuse: bool) -> None:
        """Leave the network less to do for the same results."""
        network = self._network
        _find_only_boxes(network)
        fold_batch_norms(network)
        network.to(memory_format=torch.channels_last)
        if self._half:
            add_half_precision_copies(
                network, [watched, *_HEAVY, *convolution_chains(network, _HEADS)], self._dtype
            )
        if self.device.type == "cpu":
            pool_by_rows(network)
            # Float32 gains nothing from it, and gradients pass through its heads.
            for part in half_precision_copies(network) if fuse else ():
                fuse_convolutions(part)

    def _see(self, _module: nn.Module, _inputs: object, output: Levels) -> None:
        self._seen = output

    def _take(self) -> Levels:
        """Hand the activations over, so that none live longer than their batch."""
        levels, self._seen = self._seen, None
        assert levels is not None, "the watched module took no part in the forward"
        return levels

    def _upload(self, picture: Picture) -> Tensor:
        pixels = torch.from_numpy(picture)
        if self.device.type == "cuda":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        return pixels.permute(2, 0, 1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._dtype, enabled=self._half)

    @property
    def _half(self) -> bool:
        return self._dtype != torch.float32

    def _float_heads(self) -> list[RemovableHandle]:
        modules = dict(self._network.named_modules())
        heads = [modules[name] for name in _HEADS if name in modules]
        if not self._half:
            return []
        return [head.register_forward_hook(_give_floats) for head in heads]


def _find_only_boxes(network: nn.Module) -> None:
    """Leave out what no record shows: masks and key points are made from boxes and change none."""
    heads = getattr(network, "roi_heads", network)
    for extra in ("mask", "keypoint"):
        if hasattr(heads, f"{extra}_roi_pool"):
            setattr(heads, f"{extra}_roi_pool", None)


def _give_floats(_module: nn.Module, _inputs: object, output: object) -> object:
    return _to_float(output)


def _to_float(value: object) -> object:
    """Every tensor of a head's output in float32."""
    if isinstance(value, Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: _to_float(item) for key, item in value.items()}
    if type(value) is list:
        return [_to_float(item) for item in value]
    if type(value) is tuple:
        return tuple(_to_float(item) for item in value)
    return value
