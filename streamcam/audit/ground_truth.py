"""Frames to audit, and the objects that are known to be in them (demo scene or COCO file)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streamcam.errors import UsageError
from streamcam.sources.base import FiniteSource
from streamcam.types import Box, Frame

_HINT = "It needs COCO's `images` (file_name; frame_id for videos), `annotations` and `categories`."


@dataclass(frozen=True, slots=True)
class TrueBox:
    """A known object in a picture.

    Attributes:
        label: Its class, by the model's name for it.
        box: x1, y1, x2, y2 in pixels of the displayed frame.
    """

    label: str
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame to audit on.

    Attributes:
        frame: Any frame.
        truth: Its known objects; None if they are unknown.
    """

    frame: Frame
    truth: Sequence[TrueBox] | None = None


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

    def knows(self, path: Path) -> bool:
        return path.name in self._by_name

    def of(self, frame: Frame, path: Path | None) -> Sequence[TrueBox] | None:
        """The objects in a frame; None if its picture is not in the file."""
        by_name = self._by_name.get(path.name) if path is not None else None
        image = self._by_frame.get(frame.index) if by_name is None else by_name
        return None if image is None else self._boxes[image]

    def _read(self, content: dict[str, Any]) -> None:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        self._by_name = {
            Path(image["file_name"]).name: image["id"]
            for image in content["images"]
            if "frame_id" not in image
        }
        self._by_frame = {
            int(image["frame_id"]): image["id"]
            for image in content["images"]
            if "frame_id" in image
        }
        self._boxes: dict[Any, list[TrueBox]] = defaultdict(list)
        for annotation in content["annotations"]:
            x, y, width, height = map(float, annotation["bbox"])
            box = (x, y, x + width, y + height)
            label = names[annotation["category_id"]]
            self._boxes[annotation["image_id"]].append(TrueBox(label, box))


def truth_of(
    source: FiniteSource, frame: Frame, file: CocoTruth | None
) -> Sequence[TrueBox] | None:
    """The known objects in a frame, of the file or of the source itself; None if unknown."""
    if file is not None:
        return file.of(frame, source.info.path)
    truth = source.truth(frame.time)
    return None if truth is None else [TrueBox(each.label, each.box) for each in truth]
