"""What is known to be in the frames of a source: of the demo scene, or from a COCO file."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from streamcam.audit.samples import TrueBox
from streamcam.errors import UsageError
from streamcam.sources.base import FiniteSource
from streamcam.types import Frame

_HINT = "It needs COCO's `images` (file_name; frame_id for videos), `annotations` and `categories`."


class CocoTruth:
    """The boxes of a COCO file, by picture, or by frame of a video.

    Args:
        path: JSON with `images`, `annotations` and `categories`. A picture is known by its file's
            name, a frame of a video by the number `frame_id` of its image, from 0.

    Raises:
        UsageError: The file cannot be read, or is none of COCO's.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = orjson.loads(path.read_bytes())
            self._read(content)
        except OSError as error:
            raise UsageError(f"cannot read --truth {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"--truth {path} is no COCO annotation file", hint=_HINT) from None

    def knows(self, path: Path) -> bool:
        """Whether a picture is in the file."""
        return path.name in self._by_name

    def of(self, frame: Frame, path: Path | None) -> Sequence[TrueBox] | None:
        """What is known of a frame; None where its picture is not in the file."""
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
    """What is known to be in a frame; None where nothing is known."""
    if file is not None:
        return file.of(frame, source.info.path)
    truth = source.truth(frame.time)
    return None if truth is None else [TrueBox(each.label, each.box) for each in truth]
