"""Frames to audit, and the objects that are known to be in them (demo scene or COCO file)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streamcam.errors import UsageError
from streamcam.sources.base import FiniteSource
from streamcam.types import Frame, TrueObject

_HINT = "It needs COCO's `images` (file_name; frame_id for videos), `annotations` and `categories`."


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame to audit on, and its known objects; None if they are unknown."""

    frame: Frame
    truth: Sequence[TrueObject] | None = None


class CocoTruth:
    """The boxes of a COCO file, by picture, or by frame of a video.

    Args:
        path: JSON with `images`, `annotations` and `categories`. A picture is identified by its
            file name, a frame of a video by its number, the image's `frame_id`, from 0.

    Raises:
        UsageError: The file cannot be read, or is not in COCO's format.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = orjson.loads(path.read_bytes())
            self._read(content)
        except OSError as error:
            raise UsageError(f"cannot read --truth {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"--truth {path} is not a COCO annotation file", hint=_HINT) from None

    @property
    def labels(self) -> Sequence[str]:
        """The names of its classes, also of those without a box."""
        return tuple(self._labels)

    def knows(self, path: Path) -> bool:
        return path.name in self._by_name

    def of(self, frame: Frame, path: Path | None) -> Sequence[TrueObject] | None:
        """The objects in a frame; None if its picture is not in the file."""
        by_name = self._by_name.get(path.name) if path is not None else None
        image = self._by_frame.get(frame.index) if by_name is None else by_name
        return None if image is None else self._objects[image]

    def _read(self, content: dict[str, Any]) -> None:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        self._labels = dict.fromkeys(names.values())
        self._by_name, self._by_frame = {}, {}
        for image in content["images"]:
            if "frame_id" in image:
                self._by_frame[int(image["frame_id"])] = image["id"]
            else:
                self._by_name[Path(image["file_name"]).name] = image["id"]
        self._objects: dict[Any, list[TrueObject]] = defaultdict(list)
        for annotation in content["annotations"]:
            x, y, width, height = map(float, annotation["bbox"])
            box = (x, y, x + width, y + height)
            class_id = annotation["category_id"]
            known = TrueObject(names[class_id], class_id, box)
            self._objects[annotation["image_id"]].append(known)


def truth_of(
    source: FiniteSource, frame: Frame, file: CocoTruth | None
) -> Sequence[TrueObject] | None:
    """The known objects in a frame, of the file or of the source itself; None if unknown."""
    if file is not None:
        return file.of(frame, source.info.path)
    return source.truth(frame.time)
