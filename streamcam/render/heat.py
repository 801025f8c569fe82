"""The map as colour over the picture."""

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.records import HeatMap, Picture
from streamcam.render.blend import Layer, Mask
from streamcam.render.style import Colormap

_CV2: Mapping[Colormap, int] = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "jet": cv2.COLORMAP_JET,
}

_CLEAR = 0.1
"""Up to this heat the picture stays as it is."""
_FULL = 0.75
"""From this heat on the colour is as opaque as it gets."""

_SMOOTH = 512
"""Longest side, in pixels, up to which maps are enlarged by cubic splines. A map of 27x48 cells
enlarged linearly shows its cells as diamonds; from here on linear is as smooth, and far quicker."""


class Heat:
    """Colours maps and lays them over pictures.

    Args:
        colormap: From cold to hot.
        opacity: Of the hottest places, 0..1.
    """

    def __init__(self, colormap: Colormap, opacity: float) -> None:
        self._colours = palette(colormap).astype(np.float32)
        self._alpha = opacity * _ramp()[:, None]

    def over(self, picture: Picture, levels: Mask, strength: float = 1.0) -> Picture:
        """Return a new picture with the heat on it.

        Args:
            picture: RGB, uint8, [height, width, 3].
            levels: The heat, 0..255, of the picture's size; see `enlarge`.
            strength: Share of the opacity that is left, 0..1.
        """
        alpha = self._alpha * strength
        ink = cv2.applyColorMap(levels, _table(self._colours * alpha))
        keep = cv2.applyColorMap(levels, _table(np.tile(255 * (1 - alpha), 3)))
        return Layer(ink, keep).over(picture)  # type: ignore[arg-type]


def enlarge(heat: HeatMap, width: int, height: int) -> Mask:
    """Return a map as levels 0..255, [height, width]; both span the frame edge to edge."""
    factor = min(1.0, _SMOOTH / max(width, height))
    middle = (max(1, round(width * factor)), max(1, round(height * factor)))
    smooth = cv2.resize(heat, middle, interpolation=cv2.INTER_CUBIC)
    # Converting saturates, so the spline's overshoot ends at 0 and 255.
    levels = cv2.convertScaleAbs(np.maximum(smooth, 0), alpha=255)
    return cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def palette(colormap: Colormap) -> npt.NDArray[np.uint8]:
    """Return a colormap's 256 colours from cold to hot, RGB, uint8, [256, 3]."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(ramp, _CV2[colormap])[:, 0, ::-1]  # type: ignore[return-value]


def _ramp() -> npt.NDArray[np.float32]:
    """Return the share of the full opacity for each of the 256 levels."""
    rise = np.clip((np.arange(256) / 255 - _CLEAR) / (_FULL - _CLEAR), 0, 1)
    return (rise * rise * (3 - 2 * rise)).astype(np.float32)


def _table(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(values).astype(np.uint8)[:, None, :]
