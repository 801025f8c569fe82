"""Explained frames become annotated pictures."""

from dataclasses import replace

import numpy as np

from streamcam.records import Frame, FrameResult, Item, Picture
from streamcam.render.blend import Layer, Mask, paste
from streamcam.render.boxes import Area, draw_boxes, draw_labels
from streamcam.render.footer import legend, stamp
from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Scale, Style

_FADED = 0.5
"""How much of its opacity a map keeps when it has grown old."""
_FADING = 1.0
"""Seconds in which it fades."""
_BOXES_HELD = 0.5
"""Seconds for which boxes are held: someone walking has then moved by about his own width."""


class Annotator:
    """Annotates one source's frames, in their order.

    A frame that was not explained gets the map held from the last one that was: fainter the older
    it is, with its age in the corner. Its boxes are held too, thinner, but not for long.

    Args:
        style: What the pictures look like.
    """

    def __init__(self, style: Style | None = None) -> None:
        self._style = style or Style()
        self._heat = Heat(self._style.colormap, self._style.opacity)
        self._held: FrameResult | None = None
        self._levels: Mask = np.zeros((0, 0), np.uint8)

    def annotate(self, item: Item) -> Picture:
        """Return the annotated picture of the next frame.

        Args:
            item: An explained frame, or one that only passed.

        Returns:
            A new picture of the frame's size; the frame's own is left as it was.
        """
        if isinstance(item, FrameResult):
            self._hold(item)
            return self._draw(item.frame, item, strength=1.0, age=None)
        if item.discontinuity:
            self._held = None
        if self._held is None:
            return self._draw_bare(item)
        age = max(0.0, item.time - self._held.frame.time)
        strength = 1 - (1 - _FADED) * min(1.0, age / _FADING)
        return self._draw(item, self._held, strength, age)

    def _hold(self, result: FrameResult) -> None:
        height, width = result.frame.picture.shape[:2]
        self._held = result
        self._levels = enlarge(result.explanation.map, width, height)

    def _draw(
        self, frame: Frame, result: FrameResult, strength: float, age: float | None
    ) -> Picture:
        canvas = self._heat.over(frame.picture, self._levels, strength)
        scale = Scale.of(frame.picture.shape[1], frame.picture.shape[0])
        footer = self._footer(frame, result.explanation.method, age, scale)
        if age is None:
            draw_boxes(canvas, result.detections, scale)
        elif age <= _BOXES_HELD:
            draw_boxes(canvas, result.detections, replace(scale, line=1))
        if age is None or age <= _BOXES_HELD:
            draw_labels(canvas, result.detections, scale, [area for _, area in footer])
        for layer, area in footer:
            paste(canvas, layer, area.x, area.y)
        return canvas

    def _draw_bare(self, frame: Frame) -> Picture:
        canvas = frame.picture.copy()
        scale = Scale.of(canvas.shape[1], canvas.shape[0])
        for layer, area in self._footer(frame, None, None, scale):
            paste(canvas, layer, area.x, area.y)
        return canvas

    def _footer(
        self, frame: Frame, method: str | None, age: float | None, scale: Scale
    ) -> list[tuple[Layer, Area]]:
        """Return what stands at the bottom: the legend to the left, the time to the right."""
        height, width = frame.picture.shape[:2]
        placed: list[tuple[Layer, Area]] = []
        room = width - 2 * scale.gap
        if self._style.timestamp:
            layer = stamp(frame, age, scale)
            room -= layer.width + scale.gap
            x, y = width - scale.gap - layer.width, height - scale.gap - layer.height
            placed.append((layer, Area(x, y, layer.width, layer.height)))
        if self._style.legend and method is not None:
            note = legend(method, self._style.colormap, scale, room)
            if note is not None:
                y = height - scale.gap - note.height
                placed.append((note, Area(scale.gap, y, note.width, note.height)))
        return placed


def annotate(result: FrameResult, style: Style | None = None) -> Picture:
    """Annotate one explained frame; `Annotator` does so for all frames of a source.

    Args:
        result: The explained frame.
        style: What the picture looks like.

    Returns:
        A new picture of the frame's size, RGB, uint8; the frame's own is left as it was.
    """
    return Annotator(style).annotate(result)
