"""Explained frames become annotated pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from streamcam.render.blend import Mask, Overlay
from streamcam.render.boxes import draw_boxes, draw_labels
from streamcam.render.footer import footer
from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Scale, Style
from streamcam.render.thumbnails import Thumbnails
from streamcam.types import STANDSTILL_SECONDS, Frame, FrameResult, Item, Picture

_FADED = 0.5
"""How much of its opacity a map keeps when it has grown old."""
_FADING = 1.0
"""Seconds in which it fades."""
_BOXES_HELD = 0.5
"""Seconds for which boxes are held: someone walking has then moved by about his own width."""


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """An explained frame, and its map in the frame's size."""

    result: FrameResult
    levels: Mask

    @classmethod
    def of(cls, result: FrameResult) -> "_Held":
        height, width = result.frame.picture.shape[:2]
        return cls(result, enlarge(result.explanation.map, width, height))


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
        self._held: _Held | None = None
        self._strip: Thumbnails | None = None

    def annotate(self, item: Item) -> Picture:
        """Return the annotated picture of the next frame.

        Args:
            item: An explained frame, or one that only passed.

        Returns:
            A new picture of the frame's size; the frame's own is left as it was.
        """
        if isinstance(item, FrameResult) and item.frame.unchanged >= STANDSTILL_SECONDS:
            return self._draw_still(item.frame)
        if isinstance(item, FrameResult):
            self._held = _Held.of(item)
            self._renew_strip(item)
            return self._draw(item.frame, self._held, age=None)
        if item.discontinuity:
            self._held = self._strip = None
        if self._held is None:
            return self._draw_bare(item)
        return self._draw(item, self._held, max(0.0, item.time - self._held.result.frame.time))

    def _renew_strip(self, result: FrameResult) -> None:
        fresh = Thumbnails.of(result, self._heat, _scale(result.frame))
        if fresh is not None or self._strip is None or not self._strip.continues(result):
            self._strip = fresh

    def _draw(self, frame: Frame, held: _Held, age: float | None) -> Picture:
        """Draw a map and what belongs to it on a frame; `age` is None for the frame's own."""
        canvas = self._heat.over(frame.picture, held.levels, _strength(age))
        scale = _scale(frame)
        method = held.result.explanation.method
        notes = footer(frame, method, age, self._style, scale)
        if self._strip is not None and self._strip.fits(frame.time):
            notes += self._strip.placed(frame.time, scale)
        if age is None or age <= _BOXES_HELD:
            line = scale.line if age is None else 1
            draw_boxes(canvas, held.result.detections, line)
            draw_labels(canvas, held.result.detections, scale, notes)
        return _with(canvas, notes)

    def _draw_still(self, frame: Frame) -> Picture:
        """Draw on a picture that stands still: its map is not what a detector sees now."""
        grey = cv2.cvtColor(cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return _with(grey, footer(frame, None, None, self._style, _scale(frame)))  # type: ignore[arg-type]

    def _draw_bare(self, frame: Frame) -> Picture:
        """Draw on a frame that came before the first map."""
        return _with(frame.picture.copy(), footer(frame, None, None, self._style, _scale(frame)))


def annotate(result: FrameResult, style: Style | None = None) -> Picture:
    """Annotate one explained frame; `Annotator` does so for all frames of a source.

    Args:
        result: The explained frame.
        style: What the picture looks like.

    Returns:
        A new picture of the frame's size, RGB, uint8; the frame's own is left as it was.
    """
    return Annotator(style).annotate(result)


def _strength(age: float | None) -> float:
    """Return the share of its opacity that a map of this age keeps."""
    return 1 - (1 - _FADED) * min(1.0, (age or 0.0) / _FADING)


def _scale(frame: Frame) -> Scale:
    height, width = frame.picture.shape[:2]
    return Scale.of(width, height)


def _with(canvas: Picture, notes: Sequence[Overlay]) -> Picture:
    for note in notes:
        note.draw(canvas)
    return canvas
