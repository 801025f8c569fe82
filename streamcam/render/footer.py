"""The line at the bottom: what the heat is, how it reads, and when the frame was."""

from datetime import UTC, datetime
from functools import lru_cache

import cv2
import numpy as np

from streamcam.records import Frame
from streamcam.render.blend import Layer
from streamcam.render.heat import palette
from streamcam.render.palette import BLACK
from streamcam.render.plates import plate
from streamcam.render.style import Colormap, Scale

_OPACITY = 0.6
_METHODS = {
    "eigencam": (
        "EigenCAM",
        (
            "strongest common pattern of the activations, not the cause of each box",
            "strongest common pattern, not each box's cause",
            "",
        ),
    ),
}


@lru_cache(maxsize=64)
def legend(method: str, colormap: Colormap, scale: Scale, room: int) -> Layer | None:
    """Return the legend in its fullest form at most `room` pixels wide; None where none is."""
    name, meanings = _METHODS.get(method, (method, ("",)))
    for meaning in meanings:
        parts = [
            _note("low", scale),
            _bar(colormap, scale),
            _note(f"high   {name}{': ' if meaning else ''}{meaning}", scale),
        ]
        if sum(part.width for part in parts) <= room:
            return _row(parts)
    return None


def stamp(frame: Frame, map_age: float | None, scale: Scale) -> Layer:
    """Return the frame's time, and how old the map on it is where it is not the frame's own."""
    time = media_time(frame.time) if frame.time_utc is None else utc_time(frame.time_utc)
    return _note(time if map_age is None else f"{time}   map {map_age * 1000:.0f} ms old", scale)


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
    return plate(text, scale.text, scale.gap, BLACK, _OPACITY)


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
