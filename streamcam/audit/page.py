"""An audit as one HTML page: its numbers, their meaning, and examples of the maps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from streamcam.audit.scores import (
    BASELINES,
    MEASURES,
    AuditReport,
    Example,
    Row,
    number,
    remarks,
    rows,
)
from streamcam.audit.verdict import sentences
from streamcam.cam_methods import method_label
from streamcam.html_page import bullets, document, escaped, image
from streamcam.render.boxes import draw_boxes
from streamcam.render.heat import Heat, enlarge
from streamcam.render.style import Style
from streamcam.types import Detection, Frame, HeatMap

_COMPARED = ("layercam", "gradcam")
_LEVELS = ("all levels", "coarsest only")

# Width in pixels: sharp on a phone, and 24 pictures make a page of a megabyte.
_WIDTH = 480
_MAX_HEIGHT = 4 * _WIDTH
_QUALITY = 85
_LINE = 2


def page(report: AuditReport, values: Mapping[str, Any]) -> str:
    """The page as HTML that needs no other file."""
    title = f"{values['model']} on {values['source']}"
    weights = f"weights {values['weights']}, {values['device']}, {values['precision']}"
    parts = [
        "<h1>Can these maps be trusted?</h1>",
        f"<p class=lead>{escaped(title)}; {escaped(weights)}.</p>",
        bullets(sentences(report.verdict)),
        "<h2>What was measured</h2>",
        bullets(remarks(report)),
        "<h2>Numbers</h2>",
        _table(report),
        "<h2>What they measure</h2>",
        _meanings(),
        *(_example(place, one) for place, one in enumerate(report.examples, start=1)),
        _levels(report.examples[0]),
        _foot(str(values["streamcam_version"])),
    ]
    return document(title, parts)


def _foot(version: str) -> str:
    return (
        f"<p class=foot>streamcam {escaped(version)}. Means over the boxes; which differences "
        "are more than chance, the sentences at the top say.</p>"
    )


def _table(report: AuditReport) -> str:
    found = rows(report)
    best = {key: _best(found, key) for key in MEASURES}
    head = "".join(f"<th scope=col>{one.heading}</th>" for one in MEASURES.values())
    body = "".join(_row(row, best) for row in found)
    return (
        f"<div class=scroll><table><thead><tr><th scope=col>method</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Row, best: Mapping[str, float | None]) -> str:
    cells = []
    for key, value in row.values.items():
        fails = key == "similarity" and not row.sane
        mark = "bad" if fails else "best" if value is not None and value == best[key] else ""
        text = number(key, value) + (" fails" if fails else "")
        cells.append(f'<td class="{mark}">{text}</td>')
    kind = "base" if row.baseline else ""
    return f'<tr class="{kind}"><th scope=row>{_title(row.name)}</th>{"".join(cells)}</tr>'


def _best(found: Sequence[Row], key: str) -> float | None:
    """The best value of the methods that pass the sanity check."""
    values = [
        value
        for row in found
        if row.sane and not row.baseline and (value := row.values[key]) is not None
    ]
    if not values:
        return None
    return min(values) if MEASURES[key].lower_is_better else max(values)


def _meanings() -> str:
    entries = (f"<dt>{one.heading}</dt><dd>{one.meaning}</dd>" for one in MEASURES.values())
    return f"<dl>{''.join(entries)}</dl>"


def _example(place: int, example: Example) -> str:
    detection = example.detection
    label = f"{detection.label} {detection.confidence * 100:.0f} %"
    figures = [_figure(_picture(example.frame, [detection]), "the box in question")]
    figures += [
        _figure(_picture(example.frame, [detection], heat), _title(name))
        for name, heat in example.maps.items()
    ]
    return (
        f"<h2>Example {place}: why {escaped(label)}?</h2>"
        "<p>EigenCAM does not depend on the box: its map is the same for all boxes of a frame.</p>"
        f"<div class=grid>{''.join(figures)}</div>"
    )


def _levels(example: Example) -> str:
    figures = []
    for name in _COMPARED:
        if name in example.frame_maps:
            for heat, levels in zip(example.frame_maps[name], _LEVELS, strict=True):
                picture = _picture(example.frame, (), heat)
                figures.append(_figure(picture, f"{_title(name)}, {levels}"))
    if not figures:
        return ""
    return (
        "<h2>One level or all of them?</h2><p>A detector finds small objects on fine levels of its "
        "pyramid and large ones on coarse levels. A map of one level shows only what was detected "
        "there, so the levels are summed. With one weight for a whole channel the map is hot "
        "wherever the channel responds; with a weight for each point only on the detections.</p>"
        f"<div class=grid>{''.join(figures)}</div>"
    )


def _figure(picture: bytes, caption: str) -> str:
    content = image(picture, caption)
    return f"<figure>{content}<figcaption>{escaped(caption)}</figcaption></figure>"


def _title(name: str) -> str:
    return escaped(BASELINES.get(name, method_label(name)))


def _picture(frame: Frame, detections: Sequence[Detection], heat: HeatMap | None = None) -> bytes:
    """A frame with boxes and heat, reduced in size, as JPEG."""
    height, width = frame.picture.shape[:2]
    factor = min(1.0, _WIDTH / width, _MAX_HEIGHT / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    canvas = cv2.resize(frame.picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if heat is not None:
        style = Style()
        canvas = Heat(style.colormap, style.opacity).over(canvas, enlarge(heat, *size))
    draw_boxes(canvas, [_smaller(detection, factor) for detection in detections], _LINE)
    bgr = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return content.tobytes()


def _smaller(detection: Detection, factor: float) -> Detection:
    x1, y1, x2, y2 = detection.box
    return replace(detection, box=(x1 * factor, y1 * factor, x2 * factor, y2 * factor))
