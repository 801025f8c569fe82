"""Explained frames become annotated pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from streamcam.render.boxes import draw_boxes, draw_labels
from streamcam.render.heat import Heat, enlarge
from streamcam.render.layer import Mask, Overlay
from streamcam.render.outlines import draw_outlines
from streamcam.render.overlays import Thumbnails, footer
from streamcam.render.style import Scale, Style
from streamcam.types import STANDSTILL_SECONDS, Frame, FrameResult, Item, Picture

_FADED = 0.5
"""Share of its opacity that an old map keeps."""
_FADING = 1.0
"""Seconds in which it fades."""
_BOXES_MAX_AGE = 0.5
"""Seconds for which boxes are held: someone walking has then moved by about his own width."""


@dataclass(frozen=True, slots=True, eq=False)
class _Explained:
    """An explained frame, and its map as levels 0..255 in the frame's size."""

    result: FrameResult
    levels: Mask

    @classmethod
    def of(cls, result: FrameResult) -> "_Explained":
        height, width = result.frame.picture.shape[:2]
        return cls(result, enlarge(result.explanation.map, width, height))


class Annotator:
    """Annotates one source's frames, in their order.

    A frame that was not explained gets the map of the last one that was: fainter the older it is,
    with its age in the corner. Its boxes are held too, thinner, but not for long.
    """

    def __init__(self, style: Style | None = None) -> None:
        self._style = style or Style()
        self._heat = Heat(self._style.colormap, self._style.opacity)
        self._last: _Explained | None = None
        self._thumbnails: Thumbnails | None = None

    def annotate(self, item: Item) -> Picture:
        """Return a new picture of the next frame, of its size; its own is not changed."""
        if isinstance(item, FrameResult) and item.frame.unchanged >= STANDSTILL_SECONDS:
            return self._draw_still(item.frame)
        if isinstance(item, FrameResult):
            self._last = _Explained.of(item)
            self._update_thumbnails(item)
            return self._draw(item.frame, self._last, age=None)
        if item.discontinuity:
            self._last = self._thumbnails = None
        if self._last is None:
            return self._draw_unexplained(item, item.picture.copy())
        return self._draw(item, self._last, max(0.0, item.time - self._last.result.frame.time))

    def _update_thumbnails(self, result: FrameResult) -> None:
        new = Thumbnails.of(result, self._heat, _scale(result.frame))
        if new is not None or self._thumbnails is None or not self._thumbnails.continues(result):
            self._thumbnails = new

    def _draw(self, frame: Frame, explained: _Explained, age: float | None) -> Picture:
        """Draw a map and what belongs to it on a frame; `age` is None for the frame's own."""
        strength = 1 - (1 - _FADED) * min(1.0, (age or 0.0) / _FADING)
        canvas = self._heat.over(frame.picture, explained.levels, strength)
        scale = _scale(frame)
        draw_outlines(canvas, self._style.zones, self._style.lines, scale)
        method = explained.result.explanation.method
        overlays = footer(frame, method, age, self._style, scale)
        if self._thumbnails is not None and self._thumbnails.is_recent(frame.time):
            overlays += self._thumbnails.overlays(frame.time, scale)
        if age is None or age <= _BOXES_MAX_AGE:
            line = scale.line if age is None else 1
            draw_boxes(canvas, explained.result.detections, line)
            draw_labels(canvas, explained.result.detections, scale, overlays)
        return _with(canvas, overlays)

    def _draw_still(self, frame: Frame) -> Picture:
        """Draw a picture that stands still, in grey: its map is not what a detector sees now."""
        grey = cv2.cvtColor(cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return self._draw_unexplained(frame, grey)  # type: ignore[arg-type]

    def _draw_unexplained(self, frame: Frame, canvas: Picture) -> Picture:
        return _with(canvas, footer(frame, None, None, self._style, _scale(frame)))


def annotate(result: FrameResult, style: Style | None = None) -> Picture:
    """Annotate one explained frame; `Annotator` does so for all frames of a source.

    Returns:
        A new picture of the frame's size, RGB, uint8; the frame's own is not changed.
    """
    return Annotator(style).annotate(result)


def _scale(frame: Frame) -> Scale:
    height, width = frame.picture.shape[:2]
    return Scale.of(width, height)


def _with(canvas: Picture, overlays: Sequence[Overlay]) -> Picture:
    for overlay in overlays:
        overlay.draw(canvas)
    return canvas
