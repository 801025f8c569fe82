"""FiftyOne's own format, `FiftyOneDataset`, in its form without a database schema.

The importer finds the fields in `samples.json` itself where `metadata.json` names no version of the
schema, so that it does not matter which version of FiftyOne reads it.
"""

from pathlib import Path
from typing import Any, ClassVar

import orjson

from streamcam.export.exported_frame import ExportedBox, ExportedFrame
from streamcam.export.formats.base import (
    AnnotationFormat,
    ClassNumbers,
    json_object,
    write_document,
)
from streamcam.version import __version__

_HEATMAP = "heatmap"


class FiftyOneFormat(AnnotationFormat):
    """Samples with `predictions`, a `heatmap` where maps were saved, and a field for each number.

    Files are named relative to the folder, maps in `fields/`, where the importer expects them.
    """

    title: ClassVar[str] = "FiftyOne"
    files: ClassVar[str] = "samples.json and data/"
    pictures: ClassVar[str] = "data"
    maps: ClassVar[str] = f"fields/{_HEATMAP}"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        super().__init__(folder, name, classes)
        self._samples = self.collected()

    def add(self, frame: ExportedFrame) -> None:
        size = frame.width, frame.height
        numbers = frame.numbers()
        heatmap = numbers.pop("map", None)
        reason = numbers.pop("reason", None)
        sample: dict[str, Any] = {
            "filepath": f"{self.pictures}/{frame.image}",
            "tags": [] if reason is None else [reason["by"]],
            "metadata": {"_cls": "ImageMetadata", "width": frame.width, "height": frame.height},
            "predictions": {
                "_cls": "Detections",
                "detections": [_detection(box, size) for box in frame.boxes],
            },
            **numbers,
        }
        if heatmap is not None:
            sample[_HEATMAP] = {"_cls": "Heatmap", "map_path": heatmap}
        if reason is not None:
            sample |= {"hardness": reason["score"], "reason": reason["text"]}
        self._samples.add(orjson.dumps(sample))

    def finish(self) -> None:
        write_document(self._folder / "samples.json", json_object(samples=self._samples))
        description = f"{self._name} by streamcam {__version__}"
        metadata = {
            "info": {"description": description},
            "classes": {"predictions": self._classes.labels},
        }
        (self._folder / "metadata.json").write_bytes(orjson.dumps(metadata))


def _detection(box: ExportedBox, size: tuple[int, int]) -> dict[str, Any]:
    x1, y1, _, _ = box.box
    width, height = size
    track = {} if box.track_id is None else {"index": box.track_id}
    numbers = {k: v for k, v in box.numbers().items() if k != "track_id"}
    return {
        "_cls": "Detection",
        "label": box.label,
        "bounding_box": [x1 / width, y1 / height, box.width / width, box.height / height],
        **track,
        **numbers,
    }
