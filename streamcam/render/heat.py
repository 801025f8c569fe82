"""The map as colour over the picture."""

from collections.abc import Iterable, Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from streamcam.render.layer import Layer, Mask
from streamcam.render.style import Colormap
from streamcam.types import HeatMap, Picture

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
_PIXELS_AT_ONCE = 2**22


class Heat:
    """Colours maps and lays them over pictures; `opacity` is that of the highest values, 0..1."""

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
        premultiplied = _table(self._colours * alpha)
        inverse_alpha = _table(np.tile(255 * (1 - alpha), 3))
        canvas = picture.copy()
        for region in _in_bands(_visible(levels)):
            part = levels[region]
            layer = Layer(
                cv2.applyColorMap(part, premultiplied),  # type: ignore[arg-type]
                cv2.applyColorMap(part, inverse_alpha),  # type: ignore[arg-type]
            )
            canvas[region] = layer.over(picture[region])
        return canvas

    def overlay(self, levels: Mask) -> npt.NDArray[np.uint8]:
        """Return the heat alone, to be laid over the picture elsewhere: RGBA, [height, width, 4].

        Where `over` leaves the picture as it is, it is transparent.
        """
        colours = np.concatenate([self._colours, 255 * self._alpha], axis=1)
        table: npt.NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
        return np.take(table, levels, axis=0)


def enlarge(heat: HeatMap, width: int, height: int) -> Mask:
    """Return a map as levels 0..255, [height, width]; both span the frame edge to edge."""
    # As bytes, cubic splines take a sixth of the time, and are off by a level at most.
    levels = cv2.convertScaleAbs(heat, alpha=255)
    return cv2.resize(levels, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _visible(levels: Mask) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of rectangles that hold all visible heat.

    Most maps leave most of a picture clear, and copying is ten times quicker than blending.
    """
    for rows in _runs(levels.max(axis=1) > _CLEAR * 255):
        for columns in _runs(levels[rows].max(axis=0) > _CLEAR * 255):
            yield rows, columns


def _in_bands(regions: Iterable[tuple[slice, slice]]) -> Iterator[tuple[slice, slice]]:
    """Cut rectangles into rows of them: blending takes six times a part's memory."""
    for rows, columns in regions:
        height = max(1, _PIXELS_AT_ONCE // (columns.stop - columns.start))
        for top in range(rows.start, rows.stop, height):
            yield slice(top, min(top + height, rows.stop)), columns


def _runs(flags: npt.NDArray[np.bool_]) -> Iterator[slice]:
    changes = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    yield from map(slice, changes[::2], changes[1::2])


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
