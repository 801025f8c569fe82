"""An audit as one page: its numbers, what they mean, and the maps they were measured on."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from streamcam.audit.pictures import inlined, whole
from streamcam.audit.table import BASELINES, MEASURES, Row, number, remarks, rows
from streamcam.cam_methods import method_label

if TYPE_CHECKING:
    from streamcam.audit.scores import AuditReport, Example

_COMPARED = ("layercam", "gradcam")


def page(report: "AuditReport", values: Mapping[str, Any]) -> str:
    """Return the page as HTML that needs no other file."""
    title = f"{values['model']} on {values['source']}"
    weights = f"weights {values['weights']}, {values['device']}, {values['precision']}"
    parts = [
        "<h1>Can these maps be trusted?</h1>",
        f"<p class=lead>{escape(title)}; {escape(weights)}.</p>",
        _list(remarks(report)),
        "<h2>Numbers</h2>",
        _table(report),
        "<h2>What they measure</h2>",
        _meanings(),
        *(_example(place, one) for place, one in enumerate(report.examples, start=1)),
        _levels(report.examples[0]),
        _foot(str(values["streamcam_version"])),
    ]
    style = files("streamcam.audit").joinpath("page.css").read_text(encoding="utf-8")
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style><main>{''.join(parts)}</main></html>"
    )


def _foot(version: str) -> str:
    return (
        f"<p class=foot>streamcam {escape(version)}. Means over the boxes; with few boxes a "
        "difference of some hundredths says nothing.</p>"
    )


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(report: "AuditReport") -> str:
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
    kind = "base" if row.beside else ""
    return f'<tr class="{kind}"><th scope=row>{_title(row.name)}</th>{"".join(cells)}</tr>'


def _best(found: Sequence[Row], key: str) -> float | None:
    """Return the best value of the methods that pass the sanity check."""
    values = [
        value
        for row in found
        if row.sane and not row.beside and (value := row.values[key]) is not None
    ]
    if not values:
        return None
    return min(values) if MEASURES[key].lower_is_better else max(values)


def _meanings() -> str:
    entries = (f"<dt>{one.heading}</dt><dd>{one.meaning}</dd>" for one in MEASURES.values())
    return f"<dl>{''.join(entries)}</dl>"


def _example(place: int, example: "Example") -> str:
    detection = example.detection
    label = f"{detection.label} {detection.confidence * 100:.0f} %"
    figures = [_figure(whole(example.frame, [detection]), "the box in question")]
    figures += [
        _figure(whole(example.frame, [detection], heat), _title(name))
        for name, heat in example.maps.items()
    ]
    return (
        f"<h2>Example {place}: why {escape(label)}?</h2>"
        "<p>EigenCAM does not look at the box: its map is the same for every one of the frame.</p>"
        f"<div class=grid>{''.join(figures)}</div>"
    )


def _levels(example: "Example") -> str:
    figures = []
    for name in _COMPARED:
        if name in example.together:
            every, one = example.together[name]
            figures.append(_figure(whole(example.frame, (), every), f"{_title(name)}, all levels"))
            figures.append(_figure(whole(example.frame, (), one), f"{_title(name)}, coarsest only"))
    if not figures:
        return ""
    return (
        "<h2>One level or all of them?</h2><p>A detector finds small things on fine levels of its "
        "pyramid and large ones on coarse levels. A map of one level shows only what was found "
        "there, so the levels are summed. One weight for a whole channel lights up wherever the "
        "channel responds; a weight for each point keeps the heat on what was found.</p>"
        f"<div class=grid>{''.join(figures)}</div>"
    )


def _figure(picture: bytes, caption: str) -> str:
    text = escape(caption)
    image = f'<img src="{inlined(picture)}" alt="{text}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _title(name: str) -> str:
    return escape(BASELINES.get(name, method_label(name)))
