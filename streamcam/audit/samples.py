"""What an audit is made on. Needs no torch, as whoever gathers it need not."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamcam.types import Box, Frame


@dataclass(frozen=True, slots=True)
class TrueBox:
    """An object that is known to be in a picture.

    Attributes:
        label: Its class, by the model's name for it.
        box: x1, y1, x2, y2 in pixels of the displayed frame.
    """

    label: str
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame to audit on.

    Attributes:
        frame: Any frame.
        truth: What is known to be in it; None where nothing is known.
    """

    frame: Frame
    truth: Sequence[TrueBox] | None = None
