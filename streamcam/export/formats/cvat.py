"""CVAT's own format, "CVAT for images 1.1", in `annotations.xml`, and labels for its tasks.

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

import orjson

from streamcam.escapes import printable
from streamcam.export.exported_frame import ExportedBox, ExportedFrame
from streamcam.export.formats.base import (
    AnnotationFormat,
    ClassNumbers,
    write_document,
)

_ATTRIBUTES = {
    "confidence": "text",
    "energy": "text",
    "lift": "text",
    "peak_inside": "checkbox",
    "method": "text",
    "track_id": "text",
}
"""Numbers of boxes, and CVAT's kinds of attributes; its "number" takes whole ones only."""

_DEFAULTS = {"text": "", "checkbox": "false"}


class CvatFormat(AnnotationFormat):
    """Boxes with their numbers as attributes.

    CVAT drops attributes that a task's labels do not have, so the labels of `labels.json`, which
    its editor of labels takes as "Raw", declare them.
    """

    title: ClassVar[str] = "CVAT"
    files: ClassVar[str] = "annotations.xml, labels.json and images/"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        super().__init__(folder, name, classes)
        self._images = self.collected(b"")

    def add(self, frame: ExportedFrame) -> None:
        number = self._images.count
        size = f'width="{frame.width}" height="{frame.height}"'
        lines = [f'  <image id="{number}" name={quoteattr(frame.image)} {size}>']
        for box in frame.boxes:
            lines += _box_lines(box)
        self._images.add("\n".join([*lines, "  </image>", ""]).encode())

    def finish(self) -> None:
        parts = (self._head().encode(), self._images, b"</annotations>\n")
        write_document(self._folder / "annotations.xml", parts)
        labels = orjson.dumps(
            [_raw_label(label) for label in self._classes.labels], option=orjson.OPT_INDENT_2
        )
        (self._folder / "labels.json").write_bytes(labels)

    def _head(self) -> str:
        labels = "".join(_label_lines(label) for label in self._classes.labels)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            "<annotations>\n"
            "  <version>1.1</version>\n"
            "  <meta>\n"
            "    <task>\n"
            f"      <name>{escape(printable(self._name))}</name>\n"
            f"      <size>{self._images.count}</size>\n"
            "      <mode>annotation</mode>\n"
            f"      <labels>\n{labels}      </labels>\n"
            "    </task>\n"
            "  </meta>\n"
        )


def _box_lines(box: ExportedBox) -> Iterator[str]:
    names = ("xtl", "ytl", "xbr", "ybr")
    edges = " ".join(f'{name}="{edge:.2f}"' for name, edge in zip(names, box.box, strict=True))
    yield f'    <box label={quoteattr(box.label)} source="auto" occluded="0" {edges} z_order="0">'
    numbers = box.numbers()
    for name in _ATTRIBUTES:
        if name in numbers:
            yield f'      <attribute name="{name}">{_text(numbers[name])}</attribute>'
    yield "    </box>"


def _text(value: Any) -> str:  # noqa: ANN401 - any of a box's numbers
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def _label_lines(label: str) -> str:
    attributes = "".join(
        f"            <attribute><name>{name}</name><mutable>False</mutable>"
        f"<input_type>{kind}</input_type><default_value>{_DEFAULTS[kind]}</default_value>"
        f"<values>{_DEFAULTS[kind]}</values></attribute>\n"
        for name, kind in _ATTRIBUTES.items()
    )
    return (
        f"        <label>\n          <name>{escape(label)}</name>\n"
        "          <type>rectangle</type>\n"
        f"          <attributes>\n{attributes}          </attributes>\n        </label>\n"
    )


def _raw_label(label: str) -> dict[str, Any]:
    attributes = [
        {
            "name": name,
            "mutable": False,
            "input_type": kind,
            "default_value": _DEFAULTS[kind],
            "values": [_DEFAULTS[kind]],
        }
        for name, kind in _ATTRIBUTES.items()
    ]
    return {"name": label, "type": "rectangle", "attributes": attributes}
