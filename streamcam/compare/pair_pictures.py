"""Two detectors' results of one frame in one picture: A, B, how the maps differ, and what it says.

The four parts lie in a square of two by two. Colours are of Okabe and Ito's palette, which all
common kinds of colour vision tell apart: blue for A, orange for B.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np

from streamcam.compare.box_matching import FoundBy, MatchedBoxes
from streamcam.compare.tally import FOUND_BY, ComparedFrame, same_grid
from streamcam.escapes import printable
from streamcam.render.boxes import draw_boxes, draw_labels
from streamcam.render.heat import Heat, enlarge
from streamcam.render.layer import Layer, Overlay
from streamcam.render.overlays import media_time
from streamcam.render.style import WHITE, Colour, Scale, Style
from streamcam.render.text import text_box, text_mask
from streamcam.types import Box, Detection, FrameResult, HeatMap, Picture

COLOURS: Mapping[FoundBy, Colour] = {
    FoundBy.BOTH: WHITE,
    FoundBy.ONLY_A: (86, 180, 233),
    FoundBy.ONLY_B: (230, 159, 0),
    FoundBy.OTHER_CLASS: (204, 121, 167),
}

# Pixels of a part's longer side: four of 960x540 are a full HD video.
_LONGEST, _SHORTEST = 960, 480

_BACKGROUND: Colour = (24, 27, 30)
_GRID: Colour = (70, 75, 80)
_OPACITY = 0.75
_HISTORY = 240
"""Frames in the chart of the agreement; there is none of a single frame."""
_LEAST_HISTORY = 2

_STRENGTH = 1.6
"""Opacity of the difference of the maps, as a multiple of it: 0.6 covers the picture."""
_DIMMED = 0.55


class PairArtist:
    """Draws the frames of one source, in their order.

    Args:
        names: What A and B are, of any origin.
        size: Width and height of the frames.
        style: Of the heat.
    """

    def __init__(self, names: Sequence[str], size: tuple[int, int], style: Style) -> None:
        longest = max(size)
        factor = max(min(_LONGEST / longest, 1.0), _SHORTEST / longest)
        width, height = (max(2, 2 * round(side * factor / 2)) for side in size)
        self._factors = width / size[0], height / size[1]
        self._size = width, height
        self._scale = Scale.of(width, height)
        self._panel_scale = Scale.of(width * 3 // 2, height * 3 // 2)
        self._heat = Heat(style.colormap, style.opacity)
        colours = COLOURS[FoundBy.ONLY_A], COLOURS[FoundBy.ONLY_B]
        titles = (f"{side}  {name}" for side, name in zip("AB", names, strict=True))
        self._titles = [
            self._title(title, colour) for title, colour in zip(titles, colours, strict=True)
        ]
        self._history: deque[float] = deque(maxlen=_HISTORY)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return 2 * self._size[0], 2 * self._size[1]

    def draw(
        self, a: FrameResult, b: FrameResult, matched: MatchedBoxes, numbers: ComparedFrame
    ) -> Picture:
        """Return the picture of a frame, RGB, uint8, of `size`."""
        self._history.append(numbers.agreement)
        top = self.side_by_side(a, b, matched)
        bottom = np.hstack([self._difference(a, b), self._panel(numbers)])
        return np.vstack([top, bottom])

    def side_by_side(self, a: FrameResult, b: FrameResult, matched: MatchedBoxes) -> Picture:
        """Return A and B alone, RGB, uint8, of the width and half the height of `size`."""
        both = ((a, matched.of_a()), (b, matched.of_b()))
        parts = [
            self._part(result, boxes, title)
            for (result, boxes), title in zip(both, self._titles, strict=True)
        ]
        return np.hstack(parts)

    def _part(
        self, result: FrameResult, boxes: Sequence[tuple[Detection, FoundBy]], title: Layer
    ) -> Picture:
        """Draw one detector's heat and boxes, those that differ last and thicker."""
        canvas = self._heat.over(
            self._resized(result.frame.picture), enlarge(result.explanation.map, *self._size)
        )
        corner = Overlay(title, self._scale.gap, self._scale.gap)
        groups = {
            found_by: sorted(
                (replace(one, box=self._placed(one.box)) for one, own in boxes if own is found_by),
                key=lambda one: -one.confidence,
            )
            for found_by in FOUND_BY
        }
        for found_by, group in groups.items():
            line = 1 if found_by is FoundBy.BOTH else self._scale.line + 1
            draw_boxes(canvas, group, line, COLOURS[found_by])
        labels = [corner]
        for found_by in reversed(FOUND_BY):
            labels += draw_labels(canvas, groups[found_by], self._scale, labels, COLOURS[found_by])
        corner.draw(canvas)
        return canvas

    def _difference(self, a: FrameResult, b: FrameResult) -> Picture:
        """Draw where A's map is hotter, and where B's, over the picture in grey."""
        picture = self._resized(a.frame.picture)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] * _DIMMED
        one, other = (
            self._levels(a.explanation.map),
            self._levels(same_grid(b.explanation.map, a.explanation.map)),
        )
        canvas = np.repeat(grey, 3, axis=2)
        for hotter, found_by in ((one - other, FoundBy.ONLY_A), (other - one, FoundBy.ONLY_B)):
            alpha = np.clip(hotter * _STRENGTH, 0, 1)[..., None]
            canvas += alpha * (np.asarray(COLOURS[found_by], np.float32) - canvas)
        drawn: Picture = canvas.astype(np.uint8)
        meaning = "maps: blue where A's is hotter, orange where B's"
        self._write(drawn, meaning, self._scale.gap, self._scale)
        return drawn

    def _levels(self, heat: HeatMap) -> HeatMap:
        """The map in the part's size."""
        levels: HeatMap = enlarge(heat, *self._size).astype(np.float32)
        levels /= 255
        return levels

    def _panel(self, numbers: ComparedFrame) -> Picture:
        """Draw the frame's numbers, which also are the legend, and the agreement so far."""
        width, height = self._size
        canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
        alike = "-" if numbers.correlation is None else f"{numbers.correlation:.2f}"
        rows: list[tuple[str, Colour | None]] = [
            (f"frame {numbers.index}, {media_time(numbers.time)}", None),
            *(
                (f"{found_by.value}: {count}", COLOURS[found_by])
                for found_by, count in zip(FOUND_BY, numbers.counts, strict=True)
            ),
            (f"correlation of the maps: {alike}", None),
            (f"agreement on boxes: {numbers.agreement:.0%}", None),
        ]
        top = self._panel_scale.gap
        for text, swatch in rows:
            top = self._write(canvas, text, top, self._panel_scale, swatch)
        self._chart(canvas, top)
        return canvas

    def _chart(self, canvas: Picture, top: int) -> None:
        """Draw the agreement of the last frames from `top` to the lower edge, 0 to 100 %."""
        height, width = canvas.shape[:2]
        gap, line = self._panel_scale.gap, self._panel_scale.line
        low, high, left, right = height - 2 * gap, top + gap, 2 * gap, width - 2 * gap
        if low - high < 2 * self._panel_scale.text or len(self._history) < _LEAST_HISTORY:
            return
        for level in (low, (low + high) // 2, high):
            cv2.line(canvas, (left, level), (right, level), _GRID, 1)
        places = np.linspace(left, right, _HISTORY)[: len(self._history)]
        levels = low - np.asarray(self._history) * (low - high)
        points = np.stack([places, levels], axis=1).round().astype(np.int32)
        cv2.polylines(canvas, [points[:, None]], False, WHITE, line)
        cv2.circle(canvas, points[-1].tolist(), line + 1, WHITE, -1)

    def _write(
        self, canvas: Picture, text: str, top: int, scale: Scale, swatch: Colour | None = None
    ) -> int:
        """Write a row of text, with a square of a box's colour before it; return where it ends."""
        left = scale.gap
        if swatch is not None:
            corner = left + scale.gap, top + 2
            end = corner[0] + scale.text, corner[1] + scale.text
            cv2.rectangle(canvas, corner, end, swatch, -1)
            left = end[0]
        fitting = _fitting(text, canvas.shape[1] - left - 3 * scale.gap, scale.text)
        layer = text_box((fitting,), scale.text, scale.gap, _BACKGROUND, _OPACITY)
        Overlay(layer, left, top).draw(canvas)
        return top + layer.height + scale.gap

    def _title(self, text: str, colour: Colour) -> Layer:
        gap, size = self._scale.gap, self._scale.text
        return text_box(
            (_fitting(printable(text), self._size[0] - 4 * gap, size),), size, gap, colour
        )

    def _resized(self, picture: Picture) -> Picture:
        smaller = self._factors[0] < 1
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, self._size, interpolation=how), np.uint8)

    def _placed(self, box: Box) -> Box:
        x, y = self._factors
        return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _fitting(text: str, room: int, size: int) -> str:
    """The text, or as much of its beginning as fits into so many pixels."""
    if text_mask(text, size).shape[1] <= room:
        return text
    while text and text_mask(f"{text}…", size).shape[1] > room:
        text = text[:-1]
    return f"{text}…"
