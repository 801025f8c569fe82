"""The pictures of an audit's page."""

import base64
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from streamcam.render.boxes import draw_boxes
from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Style
from streamcam.types import Detection, Frame, HeatMap

_WIDTH = 480
"""Pixels: sharp on a phone, and 24 of them make a page of a megabyte."""
_QUALITY = 85
_LINE = 2


def whole(frame: Frame, detections: Sequence[Detection] = (), heat: HeatMap | None = None) -> bytes:
    """A frame with boxes and heat on it, small, as JPEG."""
    height, width = frame.picture.shape[:2]
    factor = min(1.0, _WIDTH / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    canvas = cv2.resize(frame.picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if heat is not None:
        style = Style()
        canvas = Heat(style.colormap, style.opacity).over(canvas, enlarge(heat, *size))
    draw_boxes(canvas, [_smaller(detection, factor) for detection in detections], _LINE)
    bgr = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return content.tobytes()


def _smaller(detection: Detection, factor: float) -> Detection:
    x1, y1, x2, y2 = detection.box
    return replace(detection, box=(x1 * factor, y1 * factor, x2 * factor, y2 * factor))


def inlined(jpeg: bytes) -> str:
    """A picture as the address of itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
