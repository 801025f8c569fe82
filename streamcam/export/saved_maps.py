"""Maps that were saved with results (`--save-maps`), as PNG of 16 bits."""

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamcam.sinks.manifest import Manifest
from streamcam.sinks.maps import FULL, MAP_ENDING

_MAPS = "maps"


class SavedMaps:
    """The maps of one source; of results without maps it has none.

    Args:
        manifest: Of the results; None has no maps.
    """

    def __init__(self, manifest: Manifest | None) -> None:
        path = None if manifest is None else manifest.outputs.get(_MAPS)
        self._folder = path if path is not None and path.is_dir() else None
        self._archive: Any = None
        if path is not None and path.is_file():
            with suppress(OSError, ValueError, zipfile.BadZipFile):
                self._archive = np.load(path)

    def of_frame(self, frame: int) -> bytes | None:
        """Return the map of a frame as a PNG: 0 is 0, 65535 is 1; None where there is none."""
        return self._read(f"{frame:06}.frame")

    def of_box(self, frame: int, place: int) -> bytes | None:
        """Return the map of the box at a place in the frame's record; see `of_frame`."""
        return self._read(f"{frame:06}.box-{place}")

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()

    def _read(self, name: str) -> bytes | None:
        if self._folder is not None:
            return _content(self._folder / f"{name}{MAP_ENDING}")
        if self._archive is None or name not in self._archive:
            return None
        heat = np.rint(self._archive[name] * FULL).astype(np.uint16)
        return cv2.imencode(".png", heat)[1].tobytes()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
