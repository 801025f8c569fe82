"""What is kept of the ordinary forward for the frames whose boxes are to be explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from streamcam.types import Detection, Picture
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.grid import Pyramid
from streamcam.vision.methods.targets import BoxTarget
from streamcam.vision.models.torchvision import Forward, Levels


@dataclass(frozen=True, slots=True)
class Target:
    """A box of the ordinary forward, and the score that it had.

    Attributes:
        box: What is looked for again.
        score: 0..1.
    """

    box: BoxTarget
    score: float

    @classmethod
    def of(cls, detection: Detection) -> "Target":
        """The target that a detection is."""
        return cls(BoxTarget.of(detection), detection.confidence)


Group: TypeAlias = Sequence[Target]
"""Targets that get one map together."""


@dataclass(frozen=True, slots=True)
class SavedActivations:
    """What is left of a forward: copies, since the frame's own map overwrites its activations.

    Attributes:
        levels: float32, each [batch, channels, rows, columns].
        placements: Where each picture lies on the canvas.
        pictures: As they came.
    """

    levels: Levels
    placements: Sequence[Letterbox]
    pictures: Sequence[Picture]

    @classmethod
    def of(
        cls, forward: Forward, indices: Sequence[int], pictures: Sequence[Picture]
    ) -> "SavedActivations":
        """Copy what belongs to some of a batch's pictures.

        Args:
            forward: Of the whole batch, its activations not yet overwritten.
            indices: Which of its pictures.
            pictures: Those pictures.
        """
        # Tensors made in inference mode cannot take part in a backward; copies made outside can.
        with torch.inference_mode(mode=False):
            levels = {
                name: level[list(indices)].to(torch.float32, copy=True)
                for name, level in forward.levels.items()
            }
        return cls(levels, [forward.placements[index] for index in indices], pictures)

    def some(self, indices: Sequence[int]) -> "SavedActivations":
        """What belongs to some of the pictures."""
        if len(indices) == len(self.placements):
            return self
        levels = {name: level[list(indices)] for name, level in self.levels.items()}
        return SavedActivations(
            levels,
            [self.placements[index] for index in indices],
            [self.pictures[index] for index in indices],
        )

    def pyramid(self, index: int, centre: float) -> Pyramid:
        """One picture's activations, cut to the picture."""
        own: dict[str, Tensor] = {name: level[index] for name, level in self.levels.items()}
        return Pyramid.of(own, self.placements[index], centre)
