"""Label Studio's tasks with predictions, and the configuration of a project for them."""

from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import orjson

from streamcam.export.exported_frame import ExportedBox, ExportedFrame
from streamcam.export.formats.base import AnnotationFormat, ClassNumbers, write_document

_LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves files of its LOCAL_FILES_DOCUMENT_ROOT."""

_LABELS, _IMAGE = "label", "image"
"""Names of the tags in the configuration, which regions refer to."""


class LabelStudioFormat(AnnotationFormat):
    """`tasks.json`: pictures with their boxes as a prediction, its score the mean of theirs.

    Pictures are named by the URL under which Label Studio serves them when its document root is the
    folder that holds the export.
    """

    title: ClassVar[str] = "Label Studio"
    files: ClassVar[str] = "tasks.json, label_config.xml and images/"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        super().__init__(folder, name, classes)
        self._tasks = self.collected()
        self._without_map = 0

    def add(self, frame: ExportedFrame) -> None:
        numbers = frame.numbers()
        if frame.map is None:
            self._without_map += 1
        else:
            numbers["map"] = self._url(frame.map)
        data = {
            "image": self._url(f"{self.pictures}/{frame.image}"),
            "title": _title(frame),
            **numbers,
        }
        task = {"data": data, "predictions": [_prediction(frame)]}
        self._tasks.add(orjson.dumps(task))

    def finish(self) -> None:
        write_document(self._folder / "tasks.json", (b"[", self._tasks, b"]\n"))
        path = self._folder / "label_config.xml"
        path.write_text("\n".join([*self._configuration(), ""]), encoding="utf-8")

    def _url(self, file: str) -> str:
        return f"{_LOCAL_FILES}{quote(f'{self._name}/{file}')}"

    def _configuration(self) -> list[str]:
        labels = [f"    <Label value={quoteattr(label)}/>" for label in self._classes.labels]
        has_maps = self._tasks.count and not self._without_map
        heat = ['  <Image name="map" value="$map" width="40%"/>'] if has_maps else []
        return [
            "<View>",
            '  <Header value="$title"/>',
            f'  <Image name="{_IMAGE}" value="$image" zoom="true"/>',
            f'  <RectangleLabels name="{_LABELS}" toName="{_IMAGE}">',
            *labels,
            "  </RectangleLabels>",
            *heat,
            "</View>",
        ]


def _title(frame: ExportedFrame) -> str:
    place = f"{frame.source} {frame.record['time']:.1f} s"
    return place if frame.reason is None else f"{place}: {frame.reason.text}"


def _prediction(frame: ExportedFrame) -> dict[str, Any]:
    scores = [box.confidence for box in frame.boxes]
    return {
        "model_version": frame.model,
        "score": round(sum(scores) / len(scores), 4) if scores else 0.0,
        "result": [_region(number, box, frame) for number, box in enumerate(frame.boxes)],
    }


def _region(number: int, box: ExportedBox, frame: ExportedFrame) -> dict[str, Any]:
    x1, y1, _, _ = box.box
    horizontal, vertical = 100 / frame.width, 100 / frame.height
    return {
        "id": f"box-{number}",
        "type": "rectanglelabels",
        "from_name": _LABELS,
        "to_name": _IMAGE,
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "score": box.confidence,
        "value": {
            "x": x1 * horizontal,
            "y": y1 * vertical,
            "width": box.width * horizontal,
            "height": box.height * vertical,
            "rotation": 0,
            "rectanglelabels": [box.label],
        },
        "meta": {"text": [f"lift {box.focus['lift']:.2f}, {box.method}"], **box.numbers()},
    }
