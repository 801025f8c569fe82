"""What an ONNX graph is given: pictures, and what it wants to know of them besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.onnx.onnx_file import GraphTensor

ORIGINAL_SIZES = "orig_target_sizes"
"""An input: for each picture the width and the height that its boxes are wanted in."""

PIXEL_MASK = "pixel_mask"
"""An input: 1 where a picture lies on the canvas, 0 on the padding."""

_DTYPES = (torch.float32, torch.float16, torch.uint8)
_COLOURS = 3
_MULTIPLE = 32
_WITH_BATCH, _WITHOUT_BATCH = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInputs:
    """The inputs of a graph.

    Attributes:
        name: Of the one that takes pictures.
        batch: The fixed number of pictures in a run; None for any.
        sides: Height and width where they are fixed.
        has_batch: Whether pictures are [batch, 3, height, width], else one picture without batch.
        others: The types of the others by name.
    """

    name: str
    dtype: torch.dtype
    batch: int | None
    sides: tuple[int | None, int | None]
    has_batch: bool
    others: Mapping[str, torch.dtype]

    @classmethod
    def of(cls, path: Path, inputs: Sequence[GraphTensor]) -> "GraphInputs":
        """Find out which input takes pictures.

        Raises:
            UsageError: None does, or there are others of unknown meaning.
        """
        pictures = next((one for one in inputs if _takes_pictures(one)), None)
        others = {one.name: one.dtype for one in inputs if one is not pictures}
        if pictures is None or pictures.shape is None or pictures.dtype is None:
            given = ", ".join(one.describe() for one in inputs) or "none"
            raise UsageError(
                f"{path} takes no pictures [batch, 3, height, width]; its inputs: {given}"
            )
        for name, dtype in others.items():
            if name not in {ORIGINAL_SIZES, PIXEL_MASK} or dtype is None:
                raise UsageError(f"{path} wants an input {name!r}, of which nothing is known here")
        has_batch = len(pictures.shape) == _WITH_BATCH
        return cls(
            name=pictures.name,
            dtype=pictures.dtype,
            batch=pictures.shape[0] if has_batch else 1,
            sides=(pictures.shape[-2], pictures.shape[-1]),
            has_batch=has_batch,
            others={name: dtype for name, dtype in others.items() if dtype is not None},
        )

    @property
    def canvas(self) -> Size | None:
        """The only height and width that the graph takes; None for any."""
        height, width = self.sides
        return None if height is None or width is None else (height, width)

    @property
    def takes_bytes(self) -> bool:
        """Whether the graph normalises pictures itself: it takes grey levels 0..255."""
        return self.dtype == torch.uint8

    def side_for(self, imgsz: int) -> int:
        """That side, in whole cells of the coarsest level.

        Raises:
            UsageError: The graph takes one size only.
        """
        if self.canvas is not None:
            height, width = self.canvas
            raise UsageError(
                f"this model's input is {width}x{height} pixels, no other size",
                hint="Leave --imgsz out.",
            )
        return -(-imgsz // _MULTIPLE) * _MULTIPLE

    def feeds(self, pixels: Tensor, placements: Sequence[Letterbox]) -> dict[str, Tensor]:
        """All inputs for pictures [batch, 3, height, width], as many as a run takes."""
        pictures = pixels if self.has_batch else pixels[0]
        if self.takes_bytes:
            pictures = pictures.round().clamp(0, 255)
        given = {self.name: pictures.to(self.dtype)}
        if ORIGINAL_SIZES in self.others:
            sizes = [(one.canvas[1], one.canvas[0]) for one in placements]
            given[ORIGINAL_SIZES] = torch.tensor(sizes).to(self.others[ORIGINAL_SIZES])
        if PIXEL_MASK in self.others:
            mask = _mask(pixels, placements)
            given[PIXEL_MASK] = mask.to(self.others[PIXEL_MASK])
        return given


def _takes_pictures(tensor: GraphTensor) -> bool:
    if tensor.dtype not in _DTYPES or tensor.shape is None:
        return False
    return len(tensor.shape) in {_WITH_BATCH, _WITHOUT_BATCH} and (
        tensor.shape[-3] == _COLOURS or (tensor.shape[-3] is None and tensor.shape[-1] != _COLOURS)
    )


def _mask(pixels: Tensor, placements: Sequence[Letterbox]) -> Tensor:
    mask = torch.zeros((len(pixels), *pixels.shape[2:]), dtype=torch.int64)
    for own, placement in zip(mask, placements, strict=True):
        (top, left), (rows, columns) = placement.offset, placement.resized
        own[top : top + rows, left : left + columns] = 1
    return mask
