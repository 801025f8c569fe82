"""COCO's format of object detection: https://cocodataset.org/#format-data."""

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

_ANNOTATIONS = "annotations/instances_default.json"
"""Where CVAT and Datumaro, which take whole folders, look for it."""


class CocoFormat(AnnotationFormat):
    """Boxes with their scores; what COCO has no field for is under "streamcam".

    All ids count from 1, as pycocotools wants them. Categories are all classes that the models
    know, in their order; a detection's own `class_id` stays beside it.
    """

    title: ClassVar[str] = "COCO"
    files: ClassVar[str] = "annotations/instances_default.json and images/"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        super().__init__(folder, name, classes)
        self._images = self.collected()
        self._annotations = self.collected()

    def add(self, frame: ExportedFrame) -> None:
        image_id = self._images.count + 1
        image = {
            "id": image_id,
            "file_name": frame.image,
            "width": frame.width,
            "height": frame.height,
            "streamcam": frame.numbers(),
        }
        self._images.add(orjson.dumps(image))
        for box in frame.boxes:
            self._annotations.add(orjson.dumps(self._annotation(image_id, box)))

    def finish(self) -> None:
        description = f"Pre-labels of {self._name} by streamcam {__version__}"
        categories = [
            {"id": number, "name": label, "supercategory": ""}
            for number, label in enumerate(self._classes.labels, 1)
        ]
        document = json_object(
            info={"description": description, "version": __version__},
            licenses=[],
            categories=categories,
            images=self._images,
            annotations=self._annotations,
        )
        path = self._folder / _ANNOTATIONS
        path.parent.mkdir()
        write_document(path, document)

    def _annotation(self, image_id: int, box: ExportedBox) -> dict[str, Any]:
        x1, y1, _, _ = box.box
        width, height = box.width, box.height
        return {
            "id": self._annotations.count + 1,
            "image_id": image_id,
            "category_id": self._classes.number(box.label) + 1,
            "bbox": [round(edge, 2) for edge in (x1, y1, width, height)],
            "area": round(width * height, 2),
            "segmentation": [],
            "iscrowd": 0,
            "score": box.confidence,
            "streamcam": {k: v for k, v in box.numbers().items() if k != "confidence"},
        }
