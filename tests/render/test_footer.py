from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from streamcam.render import Annotator, Style, annotate
from streamcam.render.blend import Overlay
from streamcam.render.footer import footer, media_time, utc_time
from streamcam.render.heat import palette
from streamcam.render.style import Scale
from streamcam.types import Picture
from tests.render.scene import GREY, detection, explained, frame, plain


def notes(width: int, height: int, age: float | None = None) -> list[Overlay]:
    return footer(frame(plain(width, height)), "eigencam", age, Style(), Scale.of(width, height))


def changed(picture: Picture) -> float:
    return float((picture != GREY).any(2).mean())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.000"), (7.2, "0:07.200"), (59.9996, "1:00.000"), (3723.004, "1:02:03.004")],
)
def test_media_time(seconds: float, text: str) -> None:
    assert media_time(seconds) == text


def test_utc_time_is_in_utc() -> None:
    moment = datetime(2025, 3, 1, 14, 0, 0, 250_999, timezone(timedelta(hours=2)))
    assert utc_time(moment) == "2025-03-01 12:00:00.250 UTC"


@pytest.mark.parametrize("size", [(320, 240), (768, 432), (608, 1080), (1920, 1080), (3840, 2160)])
def test_notes_lie_apart_inside_the_frame_and_hide_little(size: tuple[int, int]) -> None:
    width, height = size
    placed = notes(width, height, age=0.12)
    assert len(placed) == 3
    for number, note in enumerate(placed):
        assert note.x >= 0
        assert note.y >= height * 0.85
        assert note.right <= width
        assert note.bottom <= height
        assert not any(note.meets(other) for other in placed[:number])
    assert sum(n.layer.width * n.layer.height for n in placed) < 0.07 * width * height


def test_a_held_map_moves_neither_legend_nor_time() -> None:
    without, held = notes(768, 432), notes(768, 432, age=0.12)
    assert [(n.x, n.y) for n in without] == [(n.x, n.y) for n in held[:2]]


def test_the_legend_shows_the_colours_from_low_to_high() -> None:
    style = Style(colormap="turbo", timestamp=False)
    shown = annotate(explained(plain(768, 432)), style)
    strip = shown[shown.shape[0] - 12].astype(int)
    for colour in palette("turbo")[[5, 128, 250]]:
        assert np.abs(strip - colour).sum(axis=1).min() < 25


def test_each_part_can_be_left_out() -> None:
    result = explained(plain())
    assert changed(annotate(result, Style(legend=False, timestamp=False))) == 0
    legend = changed(annotate(result, Style(timestamp=False)))
    time = changed(annotate(result, Style(legend=False)))
    assert 0 < time < legend < changed(annotate(result)) < 0.07


def test_the_time_is_told_also_before_the_first_map() -> None:
    shown = Annotator().annotate(frame(plain(), sampled=False))
    assert 0 < changed(shown) < 0.02


def test_live_frames_tell_the_hour_of_the_day() -> None:
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    live = annotate(explained(plain(), time_utc=moment), Style(legend=False))
    media = annotate(explained(plain()), Style(legend=False))
    assert changed(live) > 1.5 * changed(media)


def test_labels_leave_the_notes_alone() -> None:
    width, height = 768, 432
    bare = annotate(explained(plain(width, height)))
    low = annotate(explained(plain(width, height), detections=[detection((5, 425, 60, 432))]))
    for note in notes(width, height):
        where = np.s_[note.y : note.bottom, note.x : note.right]
        assert np.abs(bare[where].astype(int) - low[where]).mean() < 25


def test_an_unknown_method_is_named_without_a_meaning() -> None:
    style, scale = Style(), Scale.of(768, 432)
    known = footer(frame(plain(768, 432)), "eigencam", None, style, scale)
    unknown = footer(frame(plain(768, 432)), "otherCAM", None, style, scale)
    assert unknown[1].layer.width < known[1].layer.width
