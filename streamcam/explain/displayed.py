"""Pictures and maps as files that browsers show."""

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Style
from streamcam.types import HeatMap, Picture

LONGEST_SIDE = 1600
"""Pixels of a displayed picture's longest side: sharp on a large screen, and half a megabyte."""

# A map has some forty cells a side, so less is enough.
_HEAT_SIDE = 640

_QUALITY = 88


def displayed_picture(picture: Picture) -> bytes:
    """Return a picture, RGB, uint8, [height, width, 3], as a JPEG, reduced where it is larger."""
    width, height = _fitted(picture.shape[1], picture.shape[0], LONGEST_SIDE)
    if width < picture.shape[1]:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return _encoded(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))  # type: ignore[arg-type]


def displayed_heat(heat: HeatMap, width: int, height: int) -> bytes:
    """Return a map in the proportions of a frame, as a PNG that is transparent where it is cold."""
    columns, rows = _fitted(width, height, _HEAT_SIDE)
    style = Style()
    overlay = Heat(style.colormap, 1.0).overlay(enlarge(heat, columns, rows))
    return _encoded(".png", cv2.cvtColor(overlay, cv2.COLOR_RGBA2BGRA))  # type: ignore[arg-type]


def _fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _encoded(suffix: str, pixels: npt.NDArray[np.uint8]) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if suffix == ".jpg" else []
    done, content = cv2.imencode(suffix, pixels, options)
    assert done, "OpenCV writes JPEG and PNG"
    return content.tobytes()
