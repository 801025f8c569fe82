"""Why each box: a strip of small pictures, each with the heat of one box's own map."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamcam.cam_methods import method_label
from streamcam.render.blend import Layer, Overlay
from streamcam.render.heat import Heat, enlarge
from streamcam.render.palette import BLACK, colour_of
from streamcam.render.plates import plate
from streamcam.render.style import Scale
from streamcam.render.text import text_mask
from streamcam.types import Box, Detection, FrameResult, Picture

_SIDE = 0.2
"""Of a small picture, as a share of the frame's short side: five take a third of 768x432's top."""
_SURROUNDINGS = 1.5
"""How much of what is around a box is shown, as a multiple of its longer side."""
_OPACITY = 0.6
_HELD = 5.0
"""Seconds after which a strip is taken away: what it shows has left."""


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnails:
    """What was explained last, ready to be drawn.

    Attributes:
        cells: The small pictures, at the frame's upper edge.
        method: Whose maps they show.
        time: Of the frame that they are from, in seconds.
    """

    cells: Sequence[Overlay]
    method: str
    time: float

    @classmethod
    def of(cls, result: FrameResult, heat: Heat, scale: Scale) -> "Thumbnails | None":
        """Make the strip of a frame; None where none of its boxes was explained for it."""
        explained = [d for d in result.detections if d.why is not None and d.why.age == 0]
        if not explained or explained[0].why is None:
            return None
        picture = result.frame.picture
        side = round(min(picture.shape[:2]) * _SIDE)
        room = (picture.shape[1] - scale.gap) // (side + scale.gap)
        cells = [
            Overlay(
                _cell(picture, detection, heat, side, scale),
                scale.gap + place * (side + scale.gap),
                scale.gap,
            )
            for place, detection in enumerate(explained[:room])
        ]
        return cls(cells, explained[0].why.method, result.frame.time) if cells else None

    def continues(self, result: FrameResult) -> bool:
        """Whether the strip still belongs to the shot of a later frame."""
        return result.explanation.flicker is not None and self.fits(result.frame.time)

    def fits(self, time: float) -> bool:
        """Whether what it shows is recent enough at a time in seconds."""
        return 0 <= time - self.time <= _HELD

    def placed(self, time: float, scale: Scale) -> list[Overlay]:
        """Return the small pictures and, under them, what they are and how old."""
        age = time - self.time
        text = f"why each box, by {method_label(self.method)}"
        if age > 0:
            text += f", {age:.1f} s ago"
        note = plate((text,), scale.text, scale.gap, BLACK, _OPACITY)
        return [*self.cells, Overlay(note, scale.gap, self.cells[0].bottom)]


def _cell(picture: Picture, detection: Detection, heat: Heat, side: int, scale: Scale) -> Layer:
    """A box's surroundings under the heat of its own map, framed and named; `side` pixels wide."""
    height, width = picture.shape[:2]
    assert detection.why is not None
    left, top, reach = _square(detection.box, width, height)
    inside = np.s_[top : top + reach, left : left + reach]
    cut = cv2.resize(picture[inside], (side, side), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(enlarge(detection.why.map, width, height)[inside], (side, side))
    cell = heat.over(cut, levels)  # type: ignore[arg-type]
    _frame(cell, detection, scale)
    return Layer(cell, np.zeros_like(cell))


def _square(box: Box, width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side of the square around a box, as far as the picture reaches."""
    side = round(max(box[2] - box[0], box[3] - box[1]) * _SURROUNDINGS)
    side = max(1, min(side, width, height))
    left = round((box[0] + box[2] - side) / 2)
    top = round((box[1] + box[3] - side) / 2)
    return max(0, min(left, width - side)), max(0, min(top, height - side)), side


def _frame(cell: Picture, detection: Detection, scale: Scale) -> None:
    """Draw a border in the class's colour, and what fits of the label along the lower edge."""
    colour = colour_of(detection.class_id)
    side = cell.shape[0]
    score = f"{detection.confidence * 100:.0f} %"
    for text in (f"{detection.label} {score}", score):
        if text_mask(text, scale.text).shape[1] + 2 * scale.gap <= side:
            label = plate((text,), scale.text, scale.gap, colour)
            Overlay(label, 0, side - label.height).draw(cell)
            break
    cv2.rectangle(cell, (0, 0), (side - 1, side - 1), colour, scale.line)
