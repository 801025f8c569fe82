"""What the outputs of detectors' ONNX files mean: the base class of layouts, and common checks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchvision.ops import box_convert

from streamcam.errors import UsageError, WeightsError
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.network import Candidates, Sizing

# Rounding of half precision.
_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is known of a file when its layout is looked for.

    Attributes:
        outputs: Of a run with one picture of noise, by name.
        inputs: The names of its inputs.
        canvas: Height and width of that picture.
        classes: How many class names there are, from the user or the file; None without names.
        keypoints: Whether it finds persons' key points too.
    """

    outputs: Mapping[str, Tensor]
    inputs: Sequence[str]
    canvas: Size
    classes: int | None = None
    keypoints: bool = False

    def of_rank(self, rank: int) -> dict[str, Tensor]:
        return {name: value for name, value in self.outputs.items() if value.ndim == rank}

    def check_classes(self, count: int) -> None:
        """Compare the number of classes that outputs have with the number of names.

        Raises:
            WeightsError: There are names, and more or fewer.
        """
        if self.classes not in {None, count}:
            raise WeightsError(
                f"there are {self.classes} class names for {count} classes",
                hint="Name each class in order: --labels FILE, one name a line.",
            )


@dataclass(kw_only=True)
class Layout(ABC):
    """One meaning of a file's outputs.

    Attributes:
        name: As users write it.
        meaning: For people.
        confidence: Recommended score from which a detection counts, 0..1.
        suppress: Overlap from which the weaker of two boxes is dropped; None where nothing is.
        outputs: The names of the outputs that boxes are made of.
        class_count: How many classes there are; None where neither outputs nor names tell.
        has_batch: Whether outputs are [batch, ...], else those of one picture.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    confidence: ClassVar[float] = 0.5
    suppress: ClassVar[float | None] = None

    outputs: Sequence[str]
    class_count: int | None
    has_batch: bool = True

    @classmethod
    @abstractmethod
    def fit(cls, trial: Trial) -> "Layout | None":
        """The layout for a file's outputs; None where they have other shapes.

        Raises:
            UsageError: The shapes fit, and the values do not.
            WeightsError: The shapes fit, and the number of classes does not.
        """

    @classmethod
    def is_likely(cls, trial: Trial) -> bool:
        """Whether outputs that fit may be taken for this layout unasked."""
        del trial
        return True

    @abstractmethod
    def decode(
        self, outputs: Mapping[str, Tensor], index: int, placement: Letterbox, threshold: float
    ) -> Candidates:
        """The boxes of one picture of a batch, in pixels of the canvas, above a threshold."""

    @abstractmethod
    def sizing(self, canvas: Size | None, side: int) -> Sizing:
        """The usual preparation of pictures.

        Args:
            canvas: The only height and width that the graph takes; None for any.
            side: Of the canvas where the graph takes any, in pixels.
        """


def unfit(layout: str, reason: str) -> UsageError:
    return UsageError(f"the outputs are not of the layout {layout}: {reason}")


def check_probabilities(layout: str, values: Tensor) -> None:
    """Raises a `UsageError` unless all values lie between 0 and 1."""
    if values.numel() and not bool(((values >= -_TOLERANCE) & (values <= 1 + _TOLERANCE)).all()):
        low, high = float(values.min()), float(values.max())
        raise unfit(layout, f"scores of {low:g} to {high:g} are no probabilities")


def choose(
    boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float, *, corners: bool
) -> Candidates:
    """Those of a picture's boxes whose scores are above a threshold.

    Args:
        boxes: [count, 4], two corners each, or else centre, width and height.
        scores: [count], 0..1.
        classes: [count].
        threshold: 0..1.
        corners: Which of both.

    Raises:
        WeightsError: Scores are no probabilities: these outputs mean something else.
    """
    wanted = scores > threshold
    chosen, own, ids = boxes[wanted], scores[wanted], classes[wanted]
    if own.numel() and float(own.max()) > 1 + _TOLERANCE:
        raise WeightsError(
            f"a score of {float(own.max()):g} is no probability: the outputs mean something else",
            hint="Tell what they are: --layout, see streamcam models inspect.",
        )
    if not corners:
        chosen = box_convert(chosen, "cxcywh", "xyxy")
    return Candidates(chosen, own.clamp(max=1), ids.long())


def cells(canvas: Size, strides: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Column and row, [cells, 2], and stride, [cells, 1], of all cells, level by level."""
    corners, sizes = [], []
    for stride in strides:
        rows, columns = (torch.arange(-(-side // stride), device=device) for side in canvas)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        corners.append(torch.stack([x, y], dim=-1).reshape(-1, 2))
        sizes.append(torch.full((len(rows) * len(columns), 1), stride, device=device))
    return torch.cat(corners).float(), torch.cat(sizes).float()
