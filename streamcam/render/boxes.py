"""Boxes and their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2

from streamcam.records import Box, Detection, Picture
from streamcam.render.blend import Layer, paste
from streamcam.render.palette import BLACK, WHITE, Colour, colour_of, contrast
from streamcam.render.plates import plate
from streamcam.render.style import Scale
from streamcam.render.text import drawable

_ROOM = 1.3
"""A label may be this much wider than its box before it is shortened."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of whole pixels: x, y of its corner, width and height."""

    x: int
    y: int
    width: int
    height: int

    def meets(self, other: "Area") -> bool:
        """Whether the two share a pixel."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def draw_boxes(canvas: Picture, detections: Sequence[Detection], scale: Scale) -> None:
    """Draw the edges of all boxes on a canvas, the most confident on top."""
    for detection in reversed(detections):
        _draw_box(canvas, detection.box, colour_of(detection.class_id), scale.line)


def draw_labels(
    canvas: Picture, detections: Sequence[Detection], scale: Scale, taken: Sequence[Area] = ()
) -> list[Area]:
    """Draw each box's label where it hides no other, and return where they are.

    A label that finds no free place in any of its forms is left out, the least confident first.

    Args:
        canvas: RGB, uint8, [height, width, 3]; drawn on.
        detections: Most confident first.
        scale: Sizes that suit the canvas.
        taken: Places to keep free.
    """
    placed: list[Area] = []
    for detection in detections:
        for form, area in _places(canvas, detection, scale):
            if not any(area.meets(other) for other in (*taken, *placed)):
                paste(canvas, form, area.x, area.y)
                placed.append(area)
                break
    return placed


def _draw_box(canvas: Picture, box: Box, colour: Colour, line: int) -> None:
    # The edge lies inside the box, so that it stays within the frame.
    inset = line / 2
    x1, y1 = round(box[0] + inset - 0.5), round(box[1] + inset - 0.5)
    x2, y2 = round(box[2] - inset - 0.5), round(box[3] - inset - 0.5)
    halo = BLACK if contrast(colour, BLACK) > contrast(colour, WHITE) else WHITE
    cv2.rectangle(canvas, (x1, y1), (x2, y2), halo, line + 2 * max(1, line // 2))
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)


def _places(canvas: Picture, detection: Detection, scale: Scale) -> Iterator[tuple[Layer, Area]]:
    """Yield where a label can go, the best form and place first."""
    colour = colour_of(detection.class_id)
    width = detection.box[2] - detection.box[0]
    texts = _texts(detection)
    for text in texts:
        form = plate(text, scale.text, scale.gap, colour)
        if form.width <= width * _ROOM or text == texts[-1]:
            for x, y in _corners(detection.box, form):
                yield form, _inside(canvas, x, y, form)


def _corners(box: Box, form: Layer) -> Iterator[tuple[int, int]]:
    """Yield the corners of a label's places: on the box, in it, under it; left and right."""
    left, right = round(box[0]), round(box[2]) - form.width
    top, bottom = round(box[1]), round(box[3])
    for y in (top - form.height, top, bottom, bottom - form.height):
        yield left, y
        yield right, y


def _inside(canvas: Picture, x: int, y: int, form: Layer) -> Area:
    """Move a place into the frame."""
    height, width = canvas.shape[:2]
    return Area(
        max(0, min(x, width - form.width)),
        max(0, min(y, height - form.height)),
        form.width,
        form.height,
    )


def _texts(detection: Detection) -> tuple[str, ...]:
    """Return a label's forms, the fullest first."""
    name = detection.label if drawable(detection.label) else f"#{detection.class_id}"
    short = f"{name} {detection.confidence * 100:.0f} %"
    lift = detection.focus.lift
    return (f"{short}  lift {lift:.1f}" if lift < 10 else f"{short}  lift {lift:.0f}", short, name)
