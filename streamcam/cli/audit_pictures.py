"""The pictures of an audit's page."""

import base64
from collections.abc import Sequence

import cv2

from streamcam.records import Detection, Frame, HeatMap
from streamcam.render.boxes import draw_boxes
from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Scale, Style

_WIDTH = 480
"""Pixels: sharp on a phone, and 24 of them make a page of a megabyte."""
_QUALITY = 85


def whole(frame: Frame, detections: Sequence[Detection] = (), heat: HeatMap | None = None) -> bytes:
    """A frame with boxes and heat on it, small, as JPEG."""
    factor = min(1.0, _WIDTH / frame.picture.shape[1])
    canvas = frame.picture.copy()
    height, width = canvas.shape[:2]
    if heat is not None:
        style = Style()
        canvas = Heat(style.colormap, style.opacity).over(canvas, enlarge(heat, width, height))
    line = round(Scale.of(width, height).line / factor)
    draw_boxes(canvas, detections, line)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return content.tobytes()


def inlined(jpeg: bytes) -> str:
    """A picture as the address of itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
