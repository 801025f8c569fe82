"""The outlines of zones and lines, with their names."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.escapes import printable
from streamcam.regions import Line, Point, Zone
from streamcam.render.layer import Overlay
from streamcam.render.style import BLACK, WHITE, Scale
from streamcam.render.text import drawable, text_box
from streamcam.types import Picture

_NAME_OPACITY = 0.6
_ARROW = 1.5
"""Length of the arrow that shows a line's direction, in heights of a line of text."""


def draw_outlines(
    canvas: Picture, zones: Sequence[Zone], lines: Sequence[Line], scale: Scale
) -> None:
    """Draw zones and lines on a canvas, thin and with halos, so that they show on any background.

    A line has an arrow at its middle, which points to where `in` leads.
    """
    for zone in zones:
        corners = [_pixel(canvas, corner) for corner in zone.corners]
        _draw_path(canvas, np.array(corners), closed=True)
        _draw_name(canvas, zone.name, corners, scale)
    for line in lines:
        start, end = _pixel(canvas, line.start), _pixel(canvas, line.end)
        _draw_path(canvas, np.array([start, end]), closed=False)
        _draw_path(canvas, _arrow(start, end, _ARROW * scale.text), closed=False)
        _draw_name(canvas, line.name, [start, end], scale)


def _pixel(canvas: Picture, point: Point) -> Point:
    height, width = canvas.shape[:2]
    return point[0] * (width - 1), point[1] * (height - 1)


def _draw_path(canvas: Picture, points: npt.NDArray[np.float64], *, closed: bool) -> None:
    whole = [np.rint(points).astype(np.int32)]
    for thickness, colour in ((3, BLACK), (1, WHITE)):
        cv2.polylines(canvas, whole, closed, colour, thickness, cv2.LINE_AA)


def _arrow(start: Point, end: Point, length: float) -> npt.NDArray[np.float64]:
    """The path of an arrow from a line's middle to its right, for who looks from start to end."""
    along = np.subtract(end, start) / max(1.0, float(np.hypot(*np.subtract(end, start))))
    across = np.array([-along[1], along[0]])
    middle = np.add(start, end) / 2
    tip = middle + across * length
    barbs = [tip - (across + side * along) * length / 3 for side in (1, -1)]
    return np.array([middle, tip, barbs[0], tip, barbs[1]])


def _draw_name(canvas: Picture, name: str, points: Sequence[Point], scale: Scale) -> None:
    """Write a name at the highest of some points: other texts are at the bottom."""
    place = min(points, key=lambda point: point[1])
    shown = printable(name)
    if not drawable(shown):
        return
    height, width = canvas.shape[:2]
    label = text_box([shown], scale.text, scale.gap, BLACK, _NAME_OPACITY)
    x = max(0, min(round(place[0]) + scale.gap, width - label.width))
    y = max(0, min(round(place[1]) + scale.gap, height - label.height))
    Overlay(label, x, y).draw(canvas)
