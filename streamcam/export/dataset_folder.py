"""The folder of an export: pictures, maps, annotations; complete, or not there at all."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import orjson

from streamcam.errors import UsageError
from streamcam.export.exported_frame import ExportedFrame, Reason, boxes_of
from streamcam.export.formats.base import AnnotationFormat, ClassNumbers
from streamcam.export.image_names import ImageNames
from streamcam.export.original_pictures import Original, Record
from streamcam.export.saved_maps import SavedMaps
from streamcam.files import PART, FolderLock, replace_folder
from streamcam.media_errors import writing
from streamcam.report.results import ResultSource
from streamcam.types import Picture

LINES = "frames.jsonl"
"""What is known of each exported frame, in the form of the schema "exported_frame"."""

_JPEG = [
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
"""Hardly to be told from the original; with full colour resolution, as labels end at edges."""


class DatasetFolder:
    """Writes frames into a folder that appears when all of it is written.

    Use it as a context manager: what was written goes away unless `publish` is called.

    Args:
        folder: Where it appears.
        kind: The format of the annotations.
        ending: ".jpg" or ".png": what frames of videos are written as.
        overwrite: Take the place of an earlier export.

    Raises:
        UsageError: There is something in the folder that must not be replaced.
        SinkError: It cannot be written, or another process writes there.
    """

    def __init__(
        self,
        folder: Path,
        kind: type[AnnotationFormat],
        classes: ClassNumbers,
        *,
        ending: str = ".jpg",
        overwrite: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        _check_replaceable(self.folder, overwrite=overwrite)
        self._classes = classes
        self._ending = ending
        self._part = self.folder.with_name(self.folder.name + PART)
        self._names = ImageNames()
        with ExitStack() as opened, writing(str(self.folder)):
            lock = FolderLock(self._part)
            lock.acquire()
            opened.callback(lock.release)
            for left in self._part.iterdir():  # by a killed process
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            self._maps = kind.maps
            self._pictures = self._part / kind.pictures
            self._pictures.mkdir()
            self._lines = opened.enter_context((self._part / LINES).open("wb"))
            self._annotations = kind(self._part, self.folder.name, classes)
            opened.callback(self._annotations.close)
            self._opened = opened.pop_all()
        self._published = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._published:
            shutil.rmtree(self._part, ignore_errors=True)
        self._opened.close()

    def write(
        self,
        source: ResultSource,
        record: Record,
        original: Original,
        maps: SavedMaps,
        reason: Reason | None = None,
    ) -> ExportedFrame:
        """Write a frame's picture and maps. It counts when it is given to `add`."""
        image = self._names.free(source.name, record, original, self._ending)
        height, width = original.picture.shape[:2]
        with writing(str(self.folder)):
            if original.file is None:
                _write_picture(self._pictures / image, original.picture)
            else:
                shutil.copyfile(original.file, self._pictures / image)
            frame_map, box_maps = self._write_maps(Path(image).stem, record, maps)
        boxes = boxes_of(record, (width, height), box_maps)
        model = "" if source.manifest is None else source.manifest.content["engine"].get("model")
        return ExportedFrame(
            image, width, height, source.name, model or "", record, boxes, frame_map, reason
        )

    def add(self, frame: ExportedFrame) -> None:
        """Add a frame that is written to the annotations."""
        for box in frame.boxes:
            self._classes.number(box.label)
        with writing(str(self.folder)):
            self._annotations.add(frame)
            line = {"image": frame.image, **frame.numbers(), "record": frame.record}
            self._lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def remove(self, frame: ExportedFrame) -> None:
        """Take a frame's picture and maps away, which was not added."""
        files = [self._pictures / frame.image]
        files += [self._part / name for name in (frame.map, *(b.map for b in frame.boxes)) if name]
        for path in files:
            path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Finish the annotations, and let the folder appear under its name."""
        with writing(str(self.folder)):
            self._annotations.finish()
            self._lines.flush()
            # One call instead of one a picture, of which there may be 100,000.
            os.sync()
            replace_folder(self._part, self.folder)
        self._published = True

    def _write_maps(
        self, stem: str, record: Record, maps: SavedMaps
    ) -> tuple[str | None, Mapping[int, str]]:
        number = int(record["frame"])
        boxes = {
            place: self._write_map(f"{stem}.box-{place}", content)
            for place in range(len(record["detections"]))
            if (content := maps.of_box(number, place)) is not None
        }
        content = maps.of_frame(number)
        return None if content is None else self._write_map(stem, content), boxes

    def _write_map(self, stem: str, content: bytes) -> str:
        name = f"{self._maps}/{stem}.png"
        path = self._part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name


def _write_picture(path: Path, picture: Picture) -> None:
    options = _JPEG if path.suffix == ".jpg" else []
    content: Any = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1]
    path.write_bytes(content.tobytes())


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    """Raise `UsageError` where a folder holds what an export must not replace."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output: {folder} is a file")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / LINES).is_file():
        raise UsageError(
            f"--output: {folder} is not empty, and holds no earlier export",
            hint="Name a folder that does not exist yet.",
        )
    if not overwrite:
        raise UsageError(
            f"--output: {folder} holds an earlier export",
            hint="Name another folder, or replace it with --overwrite.",
        )
