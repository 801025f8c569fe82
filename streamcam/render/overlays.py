"""Overlays at a frame's edges: legend, time, and a thumbnail for each explained box."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import cv2
import numpy as np

from streamcam.cam_methods import METHODS, method_label
from streamcam.render.heat import Heat, enlarge, palette
from streamcam.render.layer import Layer, Overlay
from streamcam.render.style import BLACK, Colormap, Scale, Style, colour_of
from streamcam.render.text import text_box, text_mask
from streamcam.types import STANDSTILL_SECONDS, Box, Detection, Frame, FrameResult, Picture

_OPACITY = 0.6
_MAX_WIDTH = 0.6
"""Share of a tiny frame's width beyond which a text would hide more than it says."""

_SIDE = 0.2
"""Side of a thumbnail, as a share of the frame's short side: five take a third of 768x432's top."""
_SURROUNDINGS = 1.5
"""Side of the square that is shown, as a multiple of the box's longer side."""
_MAX_AGE = 5.0
"""Seconds after which thumbnails are removed: what they show has left."""


def footer(
    frame: Frame, method: str | None, map_age: float | None, style: Style, scale: Scale
) -> list[Overlay]:
    """Return the overlays at the bottom of a frame: legend at the left, time at the right.

    `method` made the map on it, None where there is none, which is `map_age` seconds older than the
    frame, None where it is the frame's own.
    """
    height, width = frame.picture.shape[:2]
    free_width = width - 2 * scale.gap
    overlays: list[Overlay] = []
    bottom, right = height - scale.gap, width - scale.gap
    moment = media_time(frame.time) if frame.time_utc is None else utc_time(frame.time_utc)
    time = _text(moment, scale)
    if style.timestamp and time.width <= width * _MAX_WIDTH:
        overlays.append(Overlay(time, right - time.width, bottom - time.height))
        free_width -= time.width + scale.gap
    if style.legend and method is not None:
        legend = _legend(method, style.colormap, scale, free_width)
        if legend is not None:
            overlays.append(Overlay(legend, scale.gap, bottom - legend.height))
    # Above the time, so that neither it nor the legend moves when it comes and goes.
    text = _warning(frame, map_age)
    warning = None if text is None else _text(text, scale)
    if style.legend and warning is not None and warning.width <= width * _MAX_WIDTH:
        overlays.append(Overlay(warning, right - warning.width, bottom - 2 * warning.height))
    return overlays


def _warning(frame: Frame, map_age: float | None) -> str | None:
    """Return which part of a picture is old, None where nothing is."""
    if frame.unchanged >= STANDSTILL_SECONDS:
        return f"picture stands still for {frame.unchanged:.0f} s"
    return None if map_age is None else f"map {map_age * 1000:.0f} ms old"


@lru_cache(maxsize=32)
def _legend(method: str, colormap: Colormap, scale: Scale, max_width: int) -> Layer | None:
    """Return the legend in its longest form of at most `max_width` pixels; None where none fits."""
    label = method_label(method)
    for meaning in METHODS[method].legend if method in METHODS else ("",):
        text = f"high   {label}: {meaning}" if meaning else f"high   {label}"
        parts = [_text("low", scale), _bar(colormap, scale), _text(text, scale)]
        if sum(part.width for part in parts) <= max_width:
            return Layer(
                np.hstack([part.premultiplied for part in parts]),
                np.hstack([part.inverse_alpha for part in parts]),
            )
    return None


def media_time(seconds: float) -> str:
    """Return a time as "m:ss.mmm", or "h:mm:ss.mmm" from an hour on."""
    total = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{milliseconds // 1000:02}.{milliseconds % 1000:03}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def utc_time(moment: datetime) -> str:
    """Return a moment as "2025-03-01 12:00:00.250 UTC"."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"


def _text(text: str, scale: Scale) -> Layer:
    return text_box((text,), scale.text, scale.gap, BLACK, _OPACITY)


def _bar(colormap: Colormap, scale: Scale) -> Layer:
    height = _text("low", scale).height
    premultiplied = np.zeros((height, scale.text * 5, 3), np.uint8)
    cv2.resize(
        palette(colormap)[None],
        (premultiplied.shape[1], height - 2 * scale.gap),
        dst=premultiplied[scale.gap : -scale.gap],
    )
    inverse_alpha = np.full_like(premultiplied, round(255 * (1 - _OPACITY)))
    inverse_alpha[scale.gap : -scale.gap] = 0
    return Layer(premultiplied, inverse_alpha)


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnails:
    """The boxes that were explained last, each with the heat of its own map."""

    cells: Sequence[Overlay]  # the thumbnails, at the frame's upper edge
    method: str
    time: float  # of the frame that they are from, in seconds

    @classmethod
    def of(cls, result: FrameResult, heat: Heat, scale: Scale) -> "Thumbnails | None":
        """Return the thumbnails of a frame; None where none of its boxes was explained in it."""
        explained = [d for d in result.detections if d.why is not None and d.why.age == 0]
        if not explained or explained[0].why is None:
            return None
        picture = result.frame.picture
        side = max(1, round(min(picture.shape[:2]) * _SIDE))
        capacity = (picture.shape[1] - scale.gap) // (side + scale.gap)
        cells = [
            Overlay(
                _cell(picture, detection, heat, side, scale),
                scale.gap + index * (side + scale.gap),
                scale.gap,
            )
            for index, detection in enumerate(explained[:capacity])
        ]
        return cls(cells, explained[0].why.method, result.frame.time) if cells else None

    def continues(self, result: FrameResult) -> bool:
        """Whether a later frame belongs to the same scene, and is recent enough."""
        return result.explanation.flicker is not None and self.is_recent(result.frame.time)

    def is_recent(self, time: float) -> bool:
        return 0 <= time - self.time <= _MAX_AGE

    def overlays(self, time: float, scale: Scale) -> list[Overlay]:
        """Return the thumbnails and, below them, their method and age."""
        age = time - self.time
        text = f"why each box, by {method_label(self.method)}"
        if age > 0:
            text += f", {age:.1f} s ago"
        caption = _text(text, scale)
        return [*self.cells, Overlay(caption, scale.gap, self.cells[0].bottom)]


def _cell(picture: Picture, detection: Detection, heat: Heat, side: int, scale: Scale) -> Layer:
    """Return a box's surroundings under the heat of its own map, with border and label."""
    height, width = picture.shape[:2]
    assert detection.why is not None
    left, top, reach = _square(detection.box, width, height)
    inside = np.s_[top : top + reach, left : left + reach]
    cut = cv2.resize(picture[inside], (side, side), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(enlarge(detection.why.map, width, height)[inside], (side, side))
    cell = heat.over(cut, levels)  # type: ignore[arg-type]
    _draw_border(cell, detection, scale)
    return Layer(cell, np.zeros_like(cell))


def _square(box: Box, width: int, height: int) -> tuple[int, int, int]:
    """Return left, top and side of the square around a box, within the picture."""
    side = round(max(box[2] - box[0], box[3] - box[1]) * _SURROUNDINGS)
    side = max(1, min(side, width, height))
    left = round((box[0] + box[2] - side) / 2)
    top = round((box[1] + box[3] - side) / 2)
    return max(0, min(left, width - side)), max(0, min(top, height - side)), side


def _draw_border(cell: Picture, detection: Detection, scale: Scale) -> None:
    """Draw a border in the class's colour, and as much of the label as fits the lower edge."""
    colour = colour_of(detection.class_id)
    side = cell.shape[0]
    score = f"{detection.confidence * 100:.0f} %"
    for text in (f"{detection.label} {score}", score):
        if text_mask(text, scale.text).shape[1] + 2 * scale.gap <= side:
            label = text_box((text,), scale.text, scale.gap, colour)
            Overlay(label, 0, side - label.height).draw(cell)
            break
    cv2.rectangle(cell, (0, 0), (side - 1, side - 1), colour, scale.line)
