"""Boxes and their labels."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from streamcam.escapes import printable
from streamcam.render.layer import Layer, Overlay
from streamcam.render.style import Colour, Scale, colour_of, text_colour
from streamcam.render.text import drawable, text_box
from streamcam.types import Box, Detection, Picture

_MAX_NAME_LENGTH = 24
"""Characters of a class's name; COCO's longest has 14."""
_MAX_WIDTH_RATIO = 1.3
"""A label may be this much wider than its box before it is shortened."""


def draw_boxes(
    canvas: Picture, detections: Sequence[Detection], line: int, colour: Colour | None = None
) -> None:
    """Draw the edges of all boxes on a canvas, `line` pixels thick, the most confident on top.

    Halos on both sides of the edges make them show on any background. Without a colour each box
    has that of its class.
    """
    halo = max(1, line // 3)
    for detection in reversed(detections):
        box, own = detection.box, colour or colour_of(detection.class_id)
        _draw_edge(canvas, box, text_colour(own), outset=halo, thickness=line + 2 * halo)
        _draw_edge(canvas, box, own, outset=0, thickness=line)


def draw_labels(
    canvas: Picture,
    detections: Sequence[Detection],
    scale: Scale,
    occupied: Sequence[Overlay] = (),
    colour: Colour | None = None,
) -> list[Overlay]:
    """Draw each box's label where it covers no other, and return the labels drawn.

    Detections come most confident first; labels do not cover what is `occupied` either. One that
    finds no free place in any of its forms is left out. Colours are as in `draw_boxes`.
    """
    labels: list[Overlay] = []
    for detection in detections:
        for label in _candidates(canvas, detection, scale, colour or colour_of(detection.class_id)):
            if not any(label.intersects(other) for other in (*occupied, *labels)):
                label.draw(canvas)
                labels.append(label)
                break
    return labels


def _draw_edge(canvas: Picture, box: Box, colour: Colour, *, outset: int, thickness: int) -> None:
    """Fill a line that begins `outset` pixels outside a box's edge and goes inwards."""
    height, width = canvas.shape[:2]
    left, right = _clamp(box[0] - outset, width), _clamp(box[2] + outset, width)
    top, bottom = _clamp(box[1] - outset, height), _clamp(box[3] + outset, height)
    canvas[top : min(top + thickness, bottom), left:right] = colour
    canvas[max(bottom - thickness, top) : bottom, left:right] = colour
    canvas[top:bottom, left : min(left + thickness, right)] = colour
    canvas[top:bottom, max(right - thickness, left) : right] = colour


def _clamp(edge: float, end: int) -> int:
    return max(0, min(end, round(edge)))


def _candidates(
    canvas: Picture, detection: Detection, scale: Scale, colour: Colour
) -> Iterator[Overlay]:
    """Yield a label in each form and position that fits, the best first."""
    height, width = canvas.shape[:2]
    max_width = (detection.box[2] - detection.box[0]) * _MAX_WIDTH_RATIO
    full, *shorter = _texts(detection)
    for texts in (full, *shorter):
        label = _label(texts, scale.text, scale.gap, colour)
        fits = label.width <= width and label.height <= height
        if fits and (label.width <= max_width or texts != full):
            for x, y in _corners(detection.box, label):
                # As near to it as the frame allows.
                left = max(0, min(x, width - label.width))
                yield Overlay(label, left, max(0, min(y, height - label.height)))


# Labels repeat from frame to frame. At 4K one takes 0.2 MB.
@lru_cache(maxsize=128)
def _label(texts: tuple[str, ...], size: int, gap: int, colour: Colour) -> Layer:
    return text_box(texts, size, gap, colour)


def _corners(box: Box, label: Layer) -> Iterator[tuple[int, int]]:
    """Yield the corners of a label's positions: above the box, in it, below it; left and right."""
    left, right = round(box[0]), round(box[2]) - label.width
    top, bottom = round(box[1]), round(box[3])
    for y in (top - label.height, top, bottom, bottom - label.height):
        yield left, y
        yield right, y


def _texts(detection: Detection) -> tuple[tuple[str, ...], ...]:
    """Return a label's forms, the fullest first."""
    name = printable(" ".join(detection.label.split()))
    if len(name) > _MAX_NAME_LENGTH:
        name = name[: _MAX_NAME_LENGTH - 1] + "…"
    if not drawable(name):
        name = f"#{detection.class_id}"
    if detection.track_id is not None:
        name = f"{name} #{detection.track_id}"
    confidence = f"{detection.confidence * 100:.0f} %"
    lift = detection.focus.lift
    focus = f" lift {lift:.{1 if lift < 10 else 0}f}"
    return (name, confidence, focus), (name, confidence), (name,)
