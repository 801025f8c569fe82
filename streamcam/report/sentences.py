"""A report in a few sentences."""

from collections.abc import Sequence

from streamcam.report.findings import FindingKind
from streamcam.report.summary import ClassSummary, Report

MANY_OFF = 0.1
"""Share of a class's boxes whose map lies elsewhere, from which on it is worth a sentence."""
_FEW_BOXES = 20
"""Of fewer boxes a share says little."""


def remarks(report: Report) -> list[str]:
    """Return what matters most, a sentence each."""
    frames = sum(source.frames for source in report.sources)
    boxes = sum(one.boxes for one in report.classes)
    where = (
        f"{_number(frames, 'explained frame', 'explained frames')} of "
        f"{_number(len(report.sources), 'source', 'sources')}"
    )
    if not boxes:
        return [f"Nothing was found in {where}."]
    what = f"{_number(boxes, 'box', 'boxes')} of {_number(len(report.classes), 'class', 'classes')}"
    found = [f"{what} in {where}.", _off_object(report)]
    if lone := report.of_kind(FindingKind.LONE):
        labels = ", ".join(dict.fromkeys(one.finding.label or "" for one in lone))
        found.append(f"Found in frames by themselves, which is often a mistake: {labels}.")
    blinking = [one for one in report.classes if one.blinks and one.boxes >= _FEW_BOXES]
    if blinking:
        worst = max(blinking, key=lambda one: one.blinks / one.boxes)
        times = _number(worst.blinks, "time", "times")
        boxes_of_it = _number(worst.boxes, "box", "boxes")
        found.append(f"Most often missed for a frame: {worst.label}, {times} in {boxes_of_it}.")
    return found


def _off_object(report: Report) -> str:
    suspects = [
        one for one in report.classes if one.boxes >= _FEW_BOXES and one.off_object >= MANY_OFF
    ]
    if suspects:
        listed = ", ".join(f"{one.label} ({one.off_object:.0%} of its boxes)" for one in suspects)
        return f"The map often lies elsewhere than the boxes of {listed}."
    share = _share_off(report.classes)
    return f"The map lies off {share:.1%} of the boxes: lift below 1, less than chance."


def _share_off(classes: Sequence[ClassSummary]) -> float:
    boxes = sum(one.boxes for one in classes)
    return sum(one.off_object * one.boxes for one in classes) / boxes


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
