"""The line at the bottom: what the heat is, how it reads, and when the frame was."""

from datetime import UTC, datetime
from functools import lru_cache

import cv2
import numpy as np

from streamcam.cam_methods import METHODS, method_label
from streamcam.render.blend import Layer, Overlay
from streamcam.render.heat import palette
from streamcam.render.palette import BLACK
from streamcam.render.plates import plate
from streamcam.render.style import Colormap, Scale, Style
from streamcam.types import STANDSTILL_SECONDS, Frame

_OPACITY = 0.6
_MOST = 0.6
"""Share of a tiny frame's width beyond which a note would hide more than it tells."""


def footer(
    frame: Frame, method: str | None, map_age: float | None, style: Style, scale: Scale
) -> list[Overlay]:
    """Return what stands at the bottom of a frame: the legend to the left, the time to the right.

    Args:
        frame: The frame.
        method: What made the map on it; None where there is no map.
        map_age: How many seconds older than the frame its map is; None where it is the frame's own.
        style: What is wanted.
        scale: Sizes that suit the frame.
    """
    height, width = frame.picture.shape[:2]
    room = width - 2 * scale.gap
    placed: list[Overlay] = []
    bottom, right = height - scale.gap, width - scale.gap
    time = _note(_time(frame), scale)
    if style.timestamp and time.width <= width * _MOST:
        placed.append(Overlay(time, right - time.width, bottom - time.height))
        room -= time.width + scale.gap
    if style.legend and method is not None:
        legend = _legend(method, style.colormap, scale, room)
        if legend is not None:
            placed.append(Overlay(legend, scale.gap, bottom - legend.height))
    # Above the time, so that neither it nor the legend moves when it comes and goes.
    text = _warning(frame, map_age)
    age = None if text is None else _note(text, scale)
    if style.legend and age is not None and age.width <= width * _MOST:
        placed.append(Overlay(age, right - age.width, bottom - 2 * age.height))
    return placed


def _warning(frame: Frame, map_age: float | None) -> str | None:
    """Return what is old about a frame."""
    if frame.unchanged >= STANDSTILL_SECONDS:
        return f"picture stands still for {frame.unchanged:.0f} s"
    return None if map_age is None else f"map {map_age * 1000:.0f} ms old"


@lru_cache(maxsize=32)
def _legend(method: str, colormap: Colormap, scale: Scale, room: int) -> Layer | None:
    """Return the legend in its fullest form at most `room` pixels wide; None where none is."""
    label = method_label(method)
    for meaning in METHODS[method].legend if method in METHODS else ("",):
        text = f"high   {label}: {meaning}" if meaning else f"high   {label}"
        parts = [_note("low", scale), _bar(colormap, scale), _note(text, scale)]
        if sum(part.width for part in parts) <= room:
            return _row(parts)
    return None


def _time(frame: Frame) -> str:
    return media_time(frame.time) if frame.time_utc is None else utc_time(frame.time_utc)


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


def _note(text: str, scale: Scale) -> Layer:
    return plate((text,), scale.text, scale.gap, BLACK, _OPACITY)


def _bar(colormap: Colormap, scale: Scale) -> Layer:
    height = _note("low", scale).height
    ink = np.zeros((height, scale.text * 5, 3), np.uint8)
    cv2.resize(
        palette(colormap)[None],
        (ink.shape[1], height - 2 * scale.gap),
        dst=ink[scale.gap : -scale.gap],
    )
    keep = np.full_like(ink, round(255 * (1 - _OPACITY)))
    keep[scale.gap : -scale.gap] = 0
    return Layer(ink, keep)


def _row(parts: list[Layer]) -> Layer:
    return Layer(np.hstack([p.ink for p in parts]), np.hstack([p.keep for p in parts]))
