"""The layout of Ultralytics' YOLO: a text file of boxes a picture, and `data.yaml`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from streamcam.export.exported_frame import ExportedBox, ExportedFrame
from streamcam.export.formats.base import AnnotationFormat, ClassNumbers

_LABELS, _PREDICTIONS = "labels", "predictions"


class YoloFormat(AnnotationFormat):
    """Labels of five columns, as training takes them, and predictions with the confidence as sixth.

    A line is `class x y width height [confidence]`: the box's middle and size in shares of the
    picture. The second form is that of `yolo predict save_txt=True save_conf=True`; among labels
    to train on, Ultralytics refuses a sixth column.
    """

    title: ClassVar[str] = "YOLO"
    files: ClassVar[str] = "data.yaml, images/, labels/ and predictions/"

    def __init__(self, folder: Path, name: str, classes: ClassNumbers) -> None:
        super().__init__(folder, name, classes)
        for each in (_LABELS, _PREDICTIONS):
            (folder / each).mkdir()

    def add(self, frame: ExportedFrame) -> None:
        self._write(frame, _LABELS, lambda _: "")
        self._write(frame, _PREDICTIONS, lambda box: f" {box.confidence:g}")

    def finish(self) -> None:
        names = "".join(
            f"  {number}: {json.dumps(label, ensure_ascii=False)}\n"
            for number, label in enumerate(self._classes.labels)
        )
        # Without `path` they are looked for beside this file.
        text = f"train: {self.pictures}\nval: {self.pictures}\nnames:\n{names}"
        (self._folder / "data.yaml").write_text(text, encoding="utf-8")

    def _write(
        self, frame: ExportedFrame, folder: str, ending: Callable[[ExportedBox], str]
    ) -> None:
        lines = [f"{self._line(frame, box)}{ending(box)}\n" for box in frame.boxes]
        path = self._folder / folder / f"{Path(frame.image).stem}.txt"
        path.write_text("".join(lines), encoding="ascii")

    def _line(self, frame: ExportedFrame, box: ExportedBox) -> str:
        x1, y1, x2, y2 = box.box
        shares = (
            *((x1 + x2) / 2 / frame.width, (y1 + y2) / 2 / frame.height),
            *(box.width / frame.width, box.height / frame.height),
        )
        return " ".join([str(self._classes.number(box.label)), *(f"{one:.6f}" for one in shares)])
