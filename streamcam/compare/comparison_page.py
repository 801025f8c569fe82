"""A comparison as one HTML page: no script, nothing from elsewhere."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from streamcam.audit.bootstrap import Interval
from streamcam.compare.agreement_chart import agreement_chart, counts_bar
from streamcam.compare.comparer import ComparedSource, DetectorComparison, ShownFrame
from streamcam.compare.conclusions import remarks, sentences
from streamcam.compare.figures import Figures, FoundBoxes, Measured, Renamed
from streamcam.compare.probes import PROBES, ProbeReport, ProbeResult
from streamcam.compare.tally import FOUND_BY, ComparedFrame
from streamcam.compare.truth_scores import Accuracy, ClassAccuracy, TruthScores
from streamcam.html_page import bullets, document, escaped, image
from streamcam.render.overlays import media_time
from streamcam.version import __version__

if TYPE_CHECKING:
    from streamcam.vision.engine_io import EngineDescription

_SOURCES = 100
"""Whose agreement is charted; of pictures there is one chart for all."""
_RENAMED = 12

_LEGEND = (
    "<p class=legend><span class=both>both</span> <span class=other>both, but another class</span> "
    "<span class=onlya>only A</span> <span class=onlyb>only B</span></p>"
)
_BOXES = (
    "<p>Two boxes are one object if their intersection over union is at least a half. Small is "
    "below 32x32 pixels of the frame, large from 96x96 on.</p>"
)
_MAPS = (
    "<p>Lift says how much more of a map lies in a box than its area's share; 1 is chance. It is "
    "the geometric mean over the objects that both find, so that the one that finds more is not "
    "judged by harder ones. Flicker is the mean change of the map from frame to frame. In "
    "brackets: where the difference lies with a certainty of 95 %.</p>"
)
_TRUTH = (
    "<p>Boxes are right if they overlap a true box of their class by half. AP50 counts what is "
    "above the confidence that was asked for, and so is lower than a benchmark's. Classes that "
    "the truth does not know are left out.</p>"
)
_PROBES = (
    "<p>One of the two gets changed pictures, the other one plain ones. If that makes them agree, "
    "they differ in how they read a picture, and not in what they have learnt. The agreement here "
    "also weighs how sure they are.</p>"
)


def page(comparison: DetectorComparison, path: Path) -> str:
    """Return the page; links to videos are relative to the folder of its path."""
    figures, folder = comparison.figures, path.absolute().parent
    title = f"{comparison.names[0]} against {comparison.names[1]}"
    parts = [
        f"<h1>{escaped(title)}</h1>",
        *(f"<p class=said>{escaped(sentence)}</p>" for sentence in sentences(comparison)),
        bullets(remarks(comparison)),
        _engines(comparison),
        "<h2>Agreement over time</h2><p>Share of the boxes that both have, 0 to 100 %.</p>",
        _over_time(comparison.sources, comparison.frames),
        f"<h2>Boxes</h2>{_BOXES}{_LEGEND}",
        "<h3>By class</h3>",
        _found("class", figures.classes, figures.boxes),
        "<h3>By size</h3>",
        _found("size", figures.sizes, figures.boxes),
        _renamed(figures.renamed),
        f"<h2>Maps</h2>{_MAPS}",
        _maps(figures),
        "" if comparison.truth is None else _truth(comparison.truth),
        "" if comparison.probes is None else _probes(comparison.probes),
        "<h2>Where they differ most</h2>",
        _worst(comparison.worst, comparison.sources, folder),
        f"<p class=foot>streamcam {escaped(__version__)}</p>",
    ]
    return document(title, parts)


def _table(headings: Sequence[str], rows: Sequence[str], last: str = "") -> str:
    """Return a table whose rows are HTML; a last heading is aligned to the left."""
    head = "".join(f"<th scope=col>{escaped(heading)}</th>" for heading in headings)
    head += f"<th scope=col class=left>{last}</th>" if last else ""
    return (
        f"<div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(name: str, cells: Sequence[str], last: str = "") -> str:
    columns = "".join(f"<td>{escaped(cell)}</td>" for cell in cells)
    columns += f"<td class=left>{last}</td>" if last else ""
    return f"<tr><th scope=row>{escaped(name)}</th>{columns}</tr>"


def _engines(comparison: DetectorComparison) -> str:
    headings = (
        "",
        "what differs",
        "model",
        "weights",
        "precision",
        "device",
        "confidence",
        "method",
    )
    pairs = zip("AB", comparison.names, comparison.engines, strict=True)
    return _table(headings, [_engine(*one) for one in pairs])


def _engine(side: str, name: str, engine: "EngineDescription") -> str:
    cells = (
        *(name, engine.model, Path(engine.weights).name, engine.precision, engine.device),
        *(f"{engine.confidence:g}", engine.method),
    )
    return _row(side, cells)


def _over_time(sources: Sequence[ComparedSource], frames: Sequence[ComparedFrame]) -> str:
    by_source: dict[str, list[ComparedFrame]] = {}
    for frame in frames:
        by_source.setdefault(frame.source, []).append(frame)
    videos = [one for one in sources if len(by_source.get(one.id, ())) > 1]
    charts = [_chart(one.id, by_source[one.id]) for one in videos[:_SOURCES]]
    single = [frame for group in by_source.values() if len(group) == 1 for frame in group]
    if single:
        charts.append(_chart("pictures, in their order", single, timed=False))
    return "".join(charts)


def _chart(name: str, frames: Sequence[ComparedFrame], *, timed: bool = True) -> str:
    mean = sum(frame.agreement for frame in frames) / len(frames)
    count = "1 frame" if len(frames) == 1 else f"{len(frames):,} frames"
    end = f", to {media_time(frames[-1].time)}" if timed else ""
    what = f"{count}{end}; mean agreement {mean:.0%}"
    return f"<h3>{escaped(name)}</h3><p>{what}</p>{agreement_chart(frames, timed=timed)}"


def _found(what: str, groups: Sequence[FoundBoxes], boxes: FoundBoxes) -> str:
    headings = (what, "A", "B", "both", "only A", "only B", "other class", "B has more")
    most = max((max(one.a, one.b) for one in groups), default=0)
    rows = [_found_row(one, most) for one in groups]
    total = _row("all", _found_cells(boxes), " ")
    return _table(headings, [*rows, total], "&nbsp;")


def _found_row(one: FoundBoxes, most: int) -> str:
    counts = (one.both, max(one.renamed), one.only_a, one.only_b)
    return _row(one.name, _found_cells(one), counts_bar(counts, most))


def _found_cells(one: FoundBoxes) -> list[str]:
    counts = (one.a, one.b, one.both, one.only_a, one.only_b, max(one.renamed))
    more = "-" if one.more is None else f"{one.more.mean:+.0%} {_span(one.more, '{:+.0%}')}"
    return [*(f"{count:,}" for count in counts), more]


def _span(one: Interval, form: str) -> str:
    if not (abs(one.low) < float("inf") and abs(one.high) < float("inf")):
        return ""
    return f"({form.format(one.low)} to {form.format(one.high)})"


def _renamed(renamed: Sequence[Renamed]) -> str:
    if not renamed:
        return ""
    rows = [
        _row(one.label_a, (one.label_b, f"{one.count:,}", f"{one.share:.0%}"))
        for one in renamed[:_RENAMED]
    ]
    headings = ("A calls it", "B calls it", "objects", "of A's that B has too")
    return f"<h3>Other class</h3>{_table(headings, rows)}"


def _maps(figures: Figures) -> str:
    headings = ("", "A", "B", "B's less A's")
    rows = [
        *_measured("lift of the objects that both find", figures.lift, 1, ratio=True),
        *_measured("flicker", figures.flicker, 4),
        *_measured("confidence of the objects that both find", figures.confidence, 3),
    ]
    alike = figures.correlation
    remark = "" if alike is None else f"Correlation {alike.mean:.2f} {_span(alike, '{:.2f}')}; "
    difference = f"{remark}mean absolute difference {figures.map_difference:.3f}."
    return f"{_table(headings, rows)}<p>Of the two maps of a frame: {escaped(difference)}</p>"


def _measured(name: str, one: Measured | None, digits: int, *, ratio: bool = False) -> list[str]:
    """Return a row, or none; the difference of a ratio is given as a factor."""
    if one is None:
        return []
    low, mean, high = one.difference.low, one.difference.mean, one.difference.high
    if ratio:
        factor = Interval(2**mean, 2 ** max(low, -99.0), 2 ** min(high, 99.0))
        difference = f"x {factor.mean:.2f} {_span(factor, '{:.2f}')}"
    else:
        form = f"{{:+.{digits}f}}"
        difference = f"{form.format(mean)} {_span(one.difference, form)}"
    return [_row(name, (f"{one.a:.{digits}f}", f"{one.b:.{digits}f}", difference))]


def _truth(truth: TruthScores) -> str:
    headings = (
        *("class", "true boxes", "recall A", "recall B", "precision A", "precision B"),
        *("AP50 A", "AP50 B", "right A", "right B", "wrong A", "wrong B"),
    )
    total = sum(one.objects for one in truth.classes)
    every = ClassAccuracy("all", total, truth.a, truth.b)
    rows = [_accuracy(one) for one in (*truth.classes, every)]
    frames = "1 frame" if truth.frames == 1 else f"{truth.frames:,} frames"
    return (
        f"<h2>Against the true boxes</h2>{_TRUTH}<p>{frames} with known boxes; F1 of A "
        f"{truth.f1[0]:.3f}, of B {truth.f1[1]:.3f}, B's less A's {truth.gain.mean:+.3f} "
        f"{_span(truth.gain, '{:+.3f}')}.</p>{_table(headings, rows)}"
    )


def _accuracy(one: ClassAccuracy) -> str:
    def pair(name: str) -> list[str]:
        return [_share(getattr(side, name)) for side in (one.a, one.b)]

    sides: tuple[Accuracy, Accuracy] = (one.a, one.b)
    counts = [f"{side.right:,}" for side in sides] + [f"{side.wrong:,}" for side in sides]
    cells = [f"{one.objects:,}", *pair("recall"), *pair("precision"), *pair("ap50"), *counts]
    return _row(one.label, cells)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _probes(report: ProbeReport) -> str:
    frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
    on_plain = f"Agreement on plain pictures: {report.plain:.2f}, of {frames}."
    heading = f"<h2>What makes them agree</h2>{_PROBES}<p>{on_plain}</p>"
    if not report.results:
        return f"{heading}<p class=none>They agree anyway: nothing was changed.</p>"
    rows = [_probe(one, report.best) for one in report.results]
    return heading + _table(("fed with", "A alone", "B alone"), rows)


def _probe(one: ProbeResult, best: ProbeResult | None) -> str:
    """Return a row; what makes them agree most is marked, if it does so notably."""
    most = max(one.changed_a, one.changed_b) if one is best else None
    cells = [
        f'<td class="{"best" if value == most else ""}">{value:.2f}</td>'
        for value in (one.changed_a, one.changed_b)
    ]
    name = escaped(PROBES[one.name].meaning)
    return f"<tr><th scope=row>{name}</th>{''.join(cells)}</tr>"


def _worst(worst: Sequence[ShownFrame], sources: Sequence[ComparedSource], folder: Path) -> str:
    if not worst:
        return "<p class=none>Nowhere: every box of one is one of the other.</p>"
    outputs = {one.id: one.output for one in sources}
    figures = (_figure(one, outputs, folder) for one in worst)
    return f"{_LEGEND}<div class='grid wide'>{''.join(figures)}</div>"


def _figure(one: ShownFrame, outputs: Mapping[str, Path | None], folder: Path) -> str:
    numbers = one.numbers
    found = zip(FOUND_BY, numbers.counts, strict=True)
    counts = ", ".join(f"{found_by.value} {count}" for found_by, count in found if count)
    where = f"{numbers.source}, frame {numbers.index}, {media_time(numbers.time)}"
    content = image(one.jpeg, f"A and B: {counts}")
    output = outputs.get(numbers.source)
    if output is not None:
        content = f'<a href="{escaped(_link(output, numbers.time, folder))}">{content}</a>'
    return (
        f"<figure>{content}<figcaption>{escaped(counts)}<br>{escaped(where)}</figcaption></figure>"
    )


def _link(output: Path, time: float, folder: Path) -> str:
    path = quote(os.fsencode(os.path.relpath(output.absolute(), folder)))
    return f"{path}#t={max(0.0, time):.2f}" if output.suffix == ".mp4" else path
