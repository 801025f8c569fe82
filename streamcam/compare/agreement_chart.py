"""Charts of a comparison's page, as SVG: agreement over time, counts of boxes."""

from collections.abc import Sequence

from streamcam.compare.tally import ComparedFrame
from streamcam.html_page import escaped

_BINS = 200
_HEIGHT = 60
_BAR, _BAR_HEIGHT = 160, 12
_CLASSES = ("both", "other", "onlya", "onlyb")
"""Of the style sheet, in the order of `FOUND_BY`."""


def agreement_chart(frames: Sequence[ComparedFrame], *, timed: bool) -> str:
    """Return a chart of a source's agreement, 0 at its lower edge and 1 at its upper one.

    Args:
        frames: In their order.
        timed: Whether they lie at their times; else at equal distances.
    """
    bins = _binned(frames, timed=timed)
    width = _BINS / len(bins)
    bars = []
    for place, group in enumerate(bins):
        if not group:
            continue
        agreement = sum(one.agreement for one in group) / len(group)
        first = group[0]
        where = f"{first.time:.1f} s" if timed else first.source.rpartition("/")[2]
        height = max(1.0, agreement * _HEIGHT)
        bars.append(
            f"<rect class=both x={place * width:.2f} y={_HEIGHT - height:.1f} "
            f"width={width * 0.9:.2f} height={height:.1f}>"
            f"<title>{escaped(where)}: {agreement:.0%}</title></rect>"
        )
    return (
        f'<svg class="line chart" height={_HEIGHT} viewBox="0 0 {_BINS} {_HEIGHT}" '
        f"preserveAspectRatio=none role=img>{''.join(bars)}</svg>"
    )


def counts_bar(counts: Sequence[int], most: int) -> str:
    """Return numbers of objects, in the order of `FOUND_BY`, as a bar; `most` sets its scale."""
    scale = _BAR / max(1, most, sum(counts))
    parts, left = [], 0.0
    for name, count in zip(_CLASSES, counts, strict=True):
        width = count * scale
        if count:
            parts.append(
                f"<rect class={name} x={left:.1f} y=0 width={width:.1f} height={_BAR_HEIGHT} />"
            )
        left += width
    return f"<svg width={_BAR} height={_BAR_HEIGHT} role=img>{''.join(parts)}</svg>"


def _binned(frames: Sequence[ComparedFrame], *, timed: bool) -> list[list[ComparedFrame]]:
    """Frames in bins of equal length."""
    count = min(_BINS, len(frames))
    bins: list[list[ComparedFrame]] = [[] for _ in range(count)]
    begin, end = frames[0].time, frames[-1].time
    for number, frame in enumerate(frames):
        share = (frame.time - begin) / max(end - begin, 1e-9) if timed else number / len(frames)
        bins[min(count - 1, int(share * count))].append(frame)
    return bins
