"""A report as one HTML page beside the results: no script, nothing from elsewhere."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from streamcam.files import readable
from streamcam.html_page import bullets, document, escaped, image
from streamcam.report.findings import MEANINGS, FindingKind
from streamcam.report.results import RecordedClip
from streamcam.report.sentences import remarks
from streamcam.report.summary import (
    LIFT_EDGES,
    ClassSummary,
    ClassTimeline,
    Located,
    Report,
    SourceSummary,
)
from streamcam.version import __version__

_CLASSES = 12
"""Of a source's timeline; the rarest are left out."""
_SOURCES = 100
"""Whose timelines are shown: a page of a megabyte."""

_WHEN = (
    "<p>Brighter where more of a class is in a frame at once; a click opens the video there. Empty "
    "where nothing was found.</p>"
)
_FOOT = (
    "Made of the records alone: lift says how much more of a map lies in a box than its area's "
    "share; 1 is chance."
)

_ROW = 14  # pixels of a timeline's height
_BAR, _HEIGHT = 12, 28  # pixels of a histogram's bar


def page(report: Report, pictures: Mapping[int, bytes], path: Path, lead: str = "") -> str:
    """Return the page as HTML that needs no other file.

    Args:
        report: What it tells.
        pictures: JPEGs by the places of their findings.
        path: Where the page will lie; links to videos are relative to its folder.
        lead: HTML that comes before everything else.
    """
    links = _Links(path.absolute().parent)
    title = f"What is worth a look in {readable(report.folder.absolute().name)}"
    parts = [
        f"<h1>{escaped(title)}</h1>",
        lead,
        bullets(remarks(report)),
        "<h2>Classes</h2>",
        _classes(report.classes),
        *(_findings(kind, report, pictures, links) for kind in FindingKind),
        "<h2>When</h2>",
        _WHEN,
        *(_source(source, links) for source in report.sources[:_SOURCES]),
        _more(len(report.sources) - _SOURCES),
        f"<p class=foot>streamcam {escaped(__version__)}. {_FOOT}</p>",
    ]
    return document(title, parts)


class _Links:
    """Links into videos, relative to the page's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def to(self, clip: RecordedClip, seconds: float) -> str | None:
        """Return a URL that opens a clip at a time, None where there is no video."""
        if clip.video is None:
            return None
        path = os.path.relpath(clip.video.absolute(), self._folder)
        moment = "" if clip.still else f"#t={max(0.0, seconds):.2f}"
        return quote(os.fsencode(path)) + moment


def _classes(classes: Sequence[ClassSummary]) -> str:
    headings = (
        *("boxes", "frames", "confidence", "lift", "nine of ten above", "off object"),
        *("peak inside", "missed once"),
    )
    head = "".join(f"<th scope=col>{heading}</th>" for heading in headings)
    return (
        f"<div class=scroll><table><thead><tr><th scope=col>class</th>{head}"
        "<th scope=col class=left>lift from 0 to 32</th></tr></thead>"
        f"<tbody>{''.join(map(_class, classes))}</tbody></table></div>"
    )


def _class(one: ClassSummary) -> str:
    cells = (
        *(f"{one.boxes:,}", f"{one.frames:,}", f"{one.confidence:.0%}"),
        *(f"{lift:.1f}" for lift in one.lift),
        *(f"{one.off_object:.1%}", f"{one.peak_inside:.0%}", f"{one.blinks:,}"),
    )
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return (
        f"<tr><th scope=row>{escaped(one.label)}</th>{columns}"
        f"<td class=left>{_histogram(one)}</td></tr>"
    )


def _histogram(one: ClassSummary) -> str:
    """Bars of lift; those of less than chance are marked."""
    highest = max(one.histogram)
    bars = []
    for place, share in enumerate(one.histogram):
        height = 0 if not share else max(1, round(share / highest * _HEIGHT))
        low, high = LIFT_EDGES[place : place + 2]
        kind = "off" if high <= 1 else "on"
        bars.append(
            f"<rect class={kind} x={place * _BAR} y={_HEIGHT - height} width={_BAR - 2} "
            f"height={height}><title>lift {low:g} to {high:g}: {share:.1%}</title></rect>"
        )
    width = _BAR * len(one.histogram)
    return f"<svg width={width} height={_HEIGHT} role=img>{''.join(bars)}</svg>"


def _findings(
    kind: FindingKind, report: Report, pictures: Mapping[int, bytes], links: _Links
) -> str:
    places = [place for place, one in enumerate(report.findings) if one.finding.kind is kind]
    heading = f"<h2>{escaped(kind.value.capitalize())}</h2><p>{escaped(MEANINGS[kind])}</p>"
    if not places:
        return f"{heading}<p class=none>None.</p>"
    figures = (_figure(report.findings[at], pictures.get(at), links) for at in places)
    return f"{heading}<div class=grid>{''.join(figures)}</div>"


def _figure(one: Located, picture: bytes | None, links: _Links) -> str:
    label = one.finding.label or "frame"
    content = "<div class=blank>no picture</div>"
    if picture is not None:
        content = image(picture, label)
    link = links.to(one.clip, one.player)
    if link is not None:
        content = f'<a href="{escaped(link)}">{content}</a>'
    caption = f"<b>{escaped(label)}</b> {escaped(one.finding.text)}<br>{escaped(_place(one))}"
    return f"<figure>{content}<figcaption>{caption}</figcaption></figure>"


def _place(one: Located) -> str:
    if one.utc is not None:
        return f"{one.source}, {datetime.fromtimestamp(one.utc, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return one.source if one.clip.still else f"{one.source}, {_clock(one.time)}"


def _source(source: SourceSummary, links: _Links) -> str:
    frames = "1 frame" if source.frames == 1 else f"{source.frames:,} frames"
    heading = f"<h3>{escaped(source.name)}</h3><p>{frames}, {_clock(source.seconds)}</p>"
    rows = "".join(_timeline(one, source, links) for one in source.classes[:_CLASSES])
    left_out = _more(len(source.classes) - _CLASSES, "classes")
    return f"{heading}<div class=scroll><table class=when>{rows}</table></div>{left_out}"


def _timeline(one: ClassTimeline, source: SourceSummary, links: _Links) -> str:
    highest = max(one.most)
    cells = []
    for most, group in groupby(range(len(one.most)), key=one.most.__getitem__):
        places = list(group)
        target = source.links[places[0]]
        if not most or target is None:
            continue
        rect = (
            f"<rect x={places[0]} width={len(places)} height=1 "
            f"fill-opacity={0.3 + 0.7 * most / highest:.2f}><title>up to {most}</title></rect>"
        )
        link = links.to(source.clips[target[0]], target[1])
        cells.append(rect if link is None else f'<a href="{escaped(link)}">{rect}</a>')
    chart = (
        f'<svg class=line height={_ROW} viewBox="0 0 {len(one.most)} 1" preserveAspectRatio=none>'
        f"{''.join(cells)}</svg>"
    )
    return f"<tr><th scope=row>{escaped(one.label)}</th><td>{one.boxes:,}</td><td>{chart}</td></tr>"


def _more(number: int, what: str = "sources") -> str:
    return f"<p class=none>and {number} more {what}</p>" if number > 0 else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}"
