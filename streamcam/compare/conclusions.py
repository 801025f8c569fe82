"""A comparison in plain words: which of the two is better at what, and what may be wrong."""

from collections.abc import Sequence

from streamcam.audit.bootstrap import LEAST_UNITS, Interval
from streamcam.cam_methods import EIGENCAM
from streamcam.compare.comparer import ComparedSource, DetectorComparison
from streamcam.compare.figures import Figures, FoundBoxes, Measured, Renamed
from streamcam.compare.probes import PROBES, ProbeReport, ProbeResult
from streamcam.compare.truth_scores import Accuracy, TruthScores

# Differences below these are none to a user, however sure they are.
_MANY_BOXES = 0.02
_HIGHER_LIFT = 0.1  # of binary logarithms: 7 %
_LESS_FLICKER = 0.05
_SURER = 0.02
_MOVED = 0.06

_MOST = 0.5
_FEW_BOXES = 5
_ALIKE, _UNLIKE = 0.95, 0.5
_UNEXPLAINED = 0.8
_SAME_MAPS, _SAME_BOXES = 0.99, 0.9
_TIMES = 3.0
"""From here on a number of boxes is said as a multiple."""
_LISTED = 4

_WHERE = (("to the right", "to the left"), ("lower", "higher"))
_HOW_LARGE = (("wider", "narrower"), ("taller", "lower in height"))
_SIZES = {
    "small": "small ones (below 32x32 pixels)",
    "medium": "medium ones (32x32 to 96x96 pixels)",
    "large": "large ones (96x96 pixels and more)",
}


def sentences(comparison: DetectorComparison) -> list[str]:
    """Return two sentences: which finds more, or is right more often; and whose maps are better."""
    figures, truth = comparison.figures, comparison.truth
    found = _against_truth(truth) if truth else _found(figures)
    return [found, _maps(figures)]


def remarks(comparison: DetectorComparison) -> list[str]:
    """Return what else is to be said, what may be wrong first."""
    figures = comparison.figures
    causes = (
        _probed(comparison.probes, comparison.truth),
        _renamed(figures.renamed, figures.boxes),
        _behind_the_maps(comparison),
        _moved(figures.offset),
    )
    found = (
        *causes,
        None if any(causes) else _unexplained(comparison.probes),
        _surer(figures.confidence),
        comparison.truth and _found(figures),
        comparison.truth and _unknown(comparison.truth),
        figures.correlation and _alike(figures.correlation.mean),
        _failed(comparison.sources),
        _few(figures.units),
    )
    return [one for one in found if one]


def _failed(sources: Sequence[ComparedSource]) -> str | None:
    failed = [one.id for one in sources if one.error is not None]
    return f"Not compared to their end: {_listed(failed)}." if failed else None


def _few(units: int) -> str | None:
    if units >= LEAST_UNITS:
        return None
    count = _number(units, "picture or second", "pictures or seconds")
    return f"From {count} only: too few to be sure. It takes {LEAST_UNITS} or more."


def _found(figures: Figures) -> str:
    boxes, agreement = figures.boxes, figures.agreement.mean
    if boxes.more is None:
        return _one_sided(boxes, figures.frames)
    in_common = f"{agreement:.0%} of the boxes are the same"
    if _tied(boxes.more, _MANY_BOXES):
        return f"A and B find as many boxes ({boxes.a:,} and {boxes.b:,}); {in_common}."
    more, less = ("B", "A") if boxes.more.mean > 0 else ("A", "B")
    high, low = max(boxes.a, boxes.b), min(boxes.a, boxes.b)
    by_class = _mostly(figures.classes, more)
    by_size = _mostly(figures.sizes, more)
    mostly = [f", mostly {name}" for name in (by_class, by_size and _SIZES[by_size]) if name]
    ratio = high / low
    many = f"{ratio - 1:.0%} more" if ratio < _TIMES else f"{ratio:.0f} times as many"
    joint = "than" if ratio < _TIMES else "as"
    count = f"{many} boxes {joint} {less} ({high:,} against {low:,})"
    return f"{more} finds {count}{''.join(mostly)}; {in_common}."


def _one_sided(boxes: FoundBoxes, frames: int) -> str:
    if not boxes.a and not boxes.b:
        return f"Neither finds anything in {_number(frames, 'frame', 'frames')}."
    name, count = ("A", boxes.a) if boxes.a else ("B", boxes.b)
    return f"Only {name} finds anything: {_number(count, 'box', 'boxes')}."


def _mostly(groups: Sequence[FoundBoxes], more: str) -> str | None:
    """The class or size that makes up most of what one finds more; None where none does."""
    sign = 1 if more == "B" else -1
    surplus = {one.name: sign * (one.b - one.a) for one in groups}
    total = sum(surplus.values())
    name = max(surplus, key=lambda one: surplus[one])
    return name if total > 0 and surplus[name] > _MOST * total else None


def _against_truth(truth: TruthScores) -> str:
    if not truth.a.right and not truth.b.right:
        return "Against the true boxes neither is right with a single one."
    figures = f"F1 {truth.f1[0]:.2f} and {truth.f1[1]:.2f}"
    if _tied(truth.gain, 0.0):
        return (
            f"Against the true boxes neither is surely better ({figures}): A {_accuracy(truth.a)}, "
            f"B {_accuracy(truth.b)}."
        )
    better, worse = (("A", truth.a), ("B", truth.b))[:: -1 if truth.gain.mean > 0 else 1]
    return (
        f"Against the true boxes {better[0]} is better ({figures} of A and B): it "
        f"{_accuracy(better[1])}, {worse[0]} {_accuracy(worse[1])}."
    )


def _accuracy(one: Accuracy) -> str:
    precision = "" if one.precision is None else f" and is right in {one.precision:.0%} of its own"
    return f"finds {one.recall or 0:.0%} of them{precision}"


def _unknown(truth: TruthScores) -> str | None:
    if not truth.unknown:
        return None
    named = [f"{label} ({count})" for label, count in truth.unknown.most_common()]
    return f"Classes that the truth does not know are left out of it: {_listed(named)}."


def _maps(figures: Figures) -> str:
    """Whose maps lie better on the objects, and flicker less."""
    focus, flicker = figures.lift, figures.flicker
    if focus is None:
        return "No object is found by both, so their maps cannot be compared on objects."
    lifts = f"lift {focus.a:.1f} and {focus.b:.1f}"
    if _tied(focus.difference, _HIGHER_LIFT):
        first = f"The maps of both lie on the objects equally well ({lifts})"
        better = None
    else:
        better = "B" if focus.difference.mean > 0 else "A"
        first = f"{better}'s maps lie better on the objects that both find ({lifts} of A and B)"
    if flicker is None:
        return f"{first}."
    calmer = _calmer(flicker)
    values = f"({flicker.a:.3f} and {flicker.b:.3f})"
    if calmer is None:
        return f"{first}, and flicker alike {values}."
    joint = "but" if better not in (None, calmer) else "and"
    return f"{first}, {joint} {calmer}'s flicker less {values}."


def _calmer(flicker: Measured) -> str | None:
    least = _LESS_FLICKER * max(flicker.a, flicker.b)
    if _tied(flicker.difference, least):
        return None
    return "A" if flicker.difference.mean > 0 else "B"


def _renamed(renamed: Sequence[Renamed], boxes: FoundBoxes) -> str | None:
    """Classes most of whose objects the other detector calls something else."""
    wrong = [one for one in renamed if one.share >= _MOST and one.count >= _FEW_BOXES]
    if not wrong:
        return None
    named = [f"{one.label_a} is {one.label_b} ({one.share:.0%})" for one in wrong]
    count = sum(one.count for one in renamed)
    return (
        f"The class names differ: what A calls {_listed(named)} to B; {count:,} of A's {boxes.a:,} "
        "boxes have another class in B. Check the labels, and the order of the classes."
    )


def _moved(offset: Sequence[Interval] | None) -> str | None:
    """Boxes of one of the two that are displaced, or of another size."""
    found = []
    words = (*_WHERE, *_HOW_LARGE)
    for one, (more, less) in zip(offset or (), words, strict=False):
        if not _tied(one, _MOVED):
            found.append(f"{abs(one.mean):.0%} {more if one.mean > 0 else less}")
    if not found:
        return None
    return (
        f"B's boxes of the same objects lie or are, of their sides, {_listed(found)}. Check how "
        "pictures are resized and padded."
    )


def _surer(confidence: Measured | None) -> str | None:
    if confidence is None or _tied(confidence.difference, _SURER):
        return None
    name = "B" if confidence.difference.mean > 0 else "A"
    values = f"mean confidence {confidence.a:.2f} and {confidence.b:.2f} of A and B"
    return f"{name} is surer of the objects that both find: {values}."


def _alike(correlation: float) -> str:
    if correlation >= _ALIKE:
        return f"The maps are almost the same: they correlate at {correlation:.2f}."
    if correlation < _UNLIKE:
        return f"The maps show different places: they correlate at {correlation:.2f}."
    return f"The maps correlate at {correlation:.2f}."


def suspect(report: ProbeReport, truth: TruthScores | None) -> str:
    """Which of the two is probably wrong: the one that is worse, or that is less sure."""
    a, b = truth.f1 if truth else report.sure
    return "A" if a < b else "B"


def _probed(report: ProbeReport | None, truth: TruthScores | None) -> str | None:
    """What made the two agree, if anything did."""
    if report is None or report.best is None:
        return None
    return _explanation(report.best, report, suspect(report, truth))


def _unexplained(report: ProbeReport | None) -> str | None:
    if report is None or not report.results or report.plain >= _UNEXPLAINED:
        return None
    return (
        "No changed picture makes them agree: they differ in more than the order of channels, "
        "brightness, contrast or sharpness. Check weights, layers and arithmetic."
    )


def _behind_the_maps(comparison: DetectorComparison) -> str | None:
    """Said where the same feature maps lead to other boxes."""
    figures = comparison.figures
    same_maps = figures.correlation is not None and figures.correlation.mean >= _SAME_MAPS
    from_features = all(one.method == EIGENCAM for one in comparison.engines)
    if not (same_maps and from_features) or figures.agreement.mean >= _SAME_BOXES:
        return None
    return (
        "The feature maps are the same and the boxes are not: they differ behind the maps, in the "
        "heads, the labels, the confidence or the suppression of duplicates."
    )


def _explanation(best: ProbeResult, report: ProbeReport, wrong: str) -> str:
    probe = PROBES[best.name]
    other = "A" if wrong == "B" else "B"
    changed = {"A": best.changed_a, "B": best.changed_b}
    gain = f"(agreement {max(changed.values()):.2f} instead of {report.plain:.2f})"
    if changed[wrong] >= changed[other]:
        what = f"Fed with {probe.meaning}, {wrong} finds more of what {other} finds"
    else:
        what = f"{wrong} finds what {other} finds when {other} is fed with {probe.meaning}"
    return f"{what} {gain}: check {probe.advice} of {wrong}."


def _tied(one: Interval, least: float) -> bool:
    """Whether a difference cannot be told from none, or is too small to matter."""
    return one.side == 0 or abs(one.mean) < least


def _listed(words: Sequence[str]) -> str:
    shown = list(words[:_LISTED])
    if len(words) > _LISTED:
        shown.append(f"{len(words) - _LISTED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
