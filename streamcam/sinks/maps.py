"""The maps as arrays, to compute with.

A map is named after its frame's number, and one of a box also after the box's index in the frame's
record: `000060.frame`, `000060.box-0`. Boxes whose maps were made for an earlier frame have none.
"""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from streamcam.errors import SinkError
from streamcam.files import PART, FolderLock, PartFile, replace_folder
from streamcam.media_errors import writing
from streamcam.sinks.base import FileSink, ResultFile
from streamcam.types import Frame, FrameResult, HeatMap, Item, Picture

MAP_ENDING = ".map.png"

FULL = 65535
"""The value 1.0 in a PNG of 16 bits."""


def named_maps(result: FrameResult) -> Iterator[tuple[str, HeatMap]]:
    name = f"{result.frame.index:06}"
    yield f"{name}.frame", result.explanation.map
    for index, detection in enumerate(result.detections):
        if detection.why is not None and detection.why.age == 0:
            yield f"{name}.box-{index}", detection.why.map


class NpzSink(FileSink):
    """Writes a source's maps into one `.npz` file: float32, [rows, columns], 0..1 each.

    `numpy.load` reads them one by one, so the file may be larger than memory.
    """

    result_file = ResultFile("maps", ".maps.npz", "maps")

    def __init__(self, path: Path) -> None:
        self._file = PartFile(path)
        self._archive: zipfile.ZipFile | None = None

    def write(self, item: Item, picture: Picture | None = None) -> None:  # noqa: ARG002
        if isinstance(item, Frame):
            return
        with writing(str(self._file.path)):
            if self._archive is None:
                self._archive = zipfile.ZipFile(
                    self._file.prepare(), "w", compression=zipfile.ZIP_DEFLATED, compresslevel=1
                )
            for name, heat in named_maps(item):
                with self._archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, heat.astype(np.float32, copy=False))

    def finish(self) -> Path:
        if self._archive is None:
            raise SinkError(f"{self._file.path}: no frame was explained, so there are no maps")
        with writing(str(self._file.path)):
            self._archive.close()
        return self._file.publish()

    def abort(self) -> None:
        if self._archive is not None:
            with suppress(OSError, ValueError):  # the rest may not fit on the disk
                self._archive.close()
            self._file.discard()


class PngSink(FileSink):
    """Writes a source's maps into a folder: greyscale PNG of 16 bits, 0 for 0 and 65535 for 1."""

    result_file = ResultFile("maps", ".maps", "maps")

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._part = self._folder.with_name(self._folder.name + PART)
        self._lock = FolderLock(self._part)
        self._begun = False

    def write(self, item: Item, picture: Picture | None = None) -> None:  # noqa: ARG002
        if isinstance(item, Frame):
            return
        with writing(str(self._folder)):
            if not self._begun:
                # A killed process may have left files there, which would be published too.
                shutil.rmtree(self._part, ignore_errors=True)
                # The lock, which a killed process releases, tells it from an abandoned folder.
                self._lock.acquire()
                self._begun = True
            for name, heat in named_maps(item):
                _, content = cv2.imencode(".png", np.rint(heat * FULL).astype(np.uint16))
                (self._part / (name + MAP_ENDING)).write_bytes(content.tobytes())

    def finish(self) -> Path:
        if not self._begun:
            raise SinkError(f"{self._folder}: no frame was explained, so there are no maps")
        with writing(str(self._folder)):
            replace_folder(self._part, self._folder)
        self._lock.release()
        return self._folder

    def abort(self) -> None:
        if self._begun:
            shutil.rmtree(self._part, ignore_errors=True)
            self._lock.release()
