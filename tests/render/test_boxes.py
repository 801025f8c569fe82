from dataclasses import replace

import numpy as np
import pytest

from streamcam.render import Annotator, Style, annotate
from streamcam.render.boxes import _texts, draw_boxes, draw_labels
from streamcam.render.layer import Overlay
from streamcam.render.style import BLACK, WHITE, Scale, colour_of, contrast, text_colour
from streamcam.render.text import drawable, text_mask
from streamcam.types import Detection
from tests.render.scene import GREY, cold, detection, explained, frame, plain

BARE = Style(legend=False, timestamp=False)
SIZES = [(320, 240), (768, 432), (1080, 1920), (3840, 2160)]


def at_the_edges(width: int, height: int) -> list[Detection]:
    w, h = width / 8, height / 6
    corners = [(x, y) for x in (0.0, width / 2 - w / 2, width - w) for y in (0.0, height - h)]
    return [
        detection((x, y, x + w, y + h), class_id=number, confidence=0.9 - number / 100)
        for number, (x, y) in enumerate(corners)
    ]


def labelled(
    width: int, height: int, detections: list[Detection]
) -> tuple[np.ndarray, list[Overlay]]:
    canvas = plain(width, height)
    return canvas, draw_labels(canvas, detections, Scale.of(width, height))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_labels_lie_inside_the_frame_and_hide_none_of_each_other(width: int, height: int) -> None:
    detections = at_the_edges(width, height)
    _, labels = labelled(width, height, detections)
    assert len(labels) == len(detections)
    for number, label in enumerate(labels):
        assert label.x >= 0
        assert label.y >= 0
        assert label.right <= width
        assert label.bottom <= height
        assert not any(label.intersects(other) for other in labels[:number])


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_text_reads_well_on_its_plate_whatever_lies_behind(width: int, height: int) -> None:
    for level in (0, 255):
        canvas = plain(width, height, level)
        (label,) = draw_labels(canvas, at_the_edges(width, height)[:1], Scale.of(width, height))
        shown = canvas[label.y : label.bottom, label.x : label.right].reshape(-1, 3)
        colours, counts = np.unique(shown, axis=0, return_counts=True)
        plate, text = (tuple(int(c) for c in colours[i]) for i in np.argsort(counts)[:-3:-1])
        assert contrast(plate, text) >= 4.5
        assert label.layer.height >= max(11, min(width, height) / 45)


def test_every_class_colour_carries_its_text() -> None:
    for class_id in range(91):
        colour = colour_of(class_id)
        assert contrast(colour, text_colour(colour)) >= 4.5


def test_neighbouring_classes_look_different() -> None:
    for class_id in range(90):
        one, other = np.asarray(colour_of(class_id)), np.asarray(colour_of(class_id + 1))
        assert np.linalg.norm(one - other) > 90


@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize("class_id", range(12))
def test_box_edges_show_on_any_ground(level: int, class_id: int) -> None:
    canvas = plain(level=level)
    draw_boxes(canvas, [detection((100, 100, 300, 250), class_id=class_id)], line=2)
    crossed = canvas[175, 90:110].astype(int)
    seen = {tuple(int(c) for c in colour) for colour in crossed}
    assert colour_of(class_id) in seen
    assert max(contrast(colour, (level,) * 3) for colour in seen) >= 3


def test_a_box_edge_lies_where_the_box_ends() -> None:
    canvas = plain()
    draw_boxes(canvas, [detection((100, 50, 300, 250))], line=2)
    colour = colour_of(1)
    assert tuple(canvas[150, 100]) == tuple(canvas[150, 299]) == colour
    assert tuple(canvas[50, 200]) == tuple(canvas[249, 200]) == colour
    assert (canvas[60:240, 110:290] == GREY).all()
    assert (canvas[:, :98] == GREY).all()


@pytest.mark.parametrize(
    "box", [(0, 0, 640, 360), (-9, -9, 700, 400), (10, 10, 10, 10), (630, 350, 640, 360)]
)
def test_boxes_of_any_size_can_be_drawn(box: tuple[float, ...]) -> None:
    assert annotate(explained(plain(), detections=[detection(box)])).shape == (360, 640, 3)


def test_small_boxes_get_short_labels() -> None:
    _, (wide,) = labelled(768, 432, [detection((100, 100, 400, 300))])
    _, (small,) = labelled(768, 432, [detection((100, 100, 130, 120))])
    assert small.layer.width < wide.layer.width


def test_the_label_of_a_tracked_object_has_its_number() -> None:
    texts = _texts(replace(detection((0, 0, 9, 9)), track_id=12))
    assert [text[0] for text in texts] == ["person #12"] * 3


def test_a_crowd_keeps_the_labels_of_the_most_confident() -> None:
    crowd = [
        detection((300 + n, 150 + n, 340 + n, 200 + n), confidence=0.99 - n / 100)
        for n in range(60)
    ]
    _, labels = labelled(640, 360, crowd)
    assert 4 < len(labels) < 60
    assert (labels[0].x, labels[0].bottom) == (300, 150)


def test_a_frame_too_small_for_text_has_none() -> None:
    shown = annotate(explained(plain(32, 24), detections=[detection((8, 8, 24, 20))]))
    assert (shown[:6] == GREY).all()
    assert (shown[22:] == GREY).all()


@pytest.mark.parametrize("label", ["велосипед", "Straße", "vélo", "σκύλος"])
def test_european_scripts_are_drawn(label: str) -> None:
    assert drawable(label)
    blank = text_mask("\U0010ffff" * len(label), 20)
    assert text_mask(label, 20).tobytes() != blank.tobytes()


def test_a_label_that_no_font_can_draw_is_named_by_its_number() -> None:
    # A private character: no font here can have it.
    box = (100, 100, 400, 300)
    _, (secret,) = labelled(768, 432, [detection(box, label="\ue123\ue124", class_id=44)])
    _, (number,) = labelled(768, 432, [detection(box, label="#44", class_id=44)])
    assert (secret.layer.premultiplied == number.layer.premultiplied).all()


@pytest.mark.parametrize(
    "label", ["", "two\nlines", "tab\there", "a very long name " * 20, "x" * 99]
)
def test_odd_names_are_drawn_in_one_line_that_fits(label: str) -> None:
    _, labels = labelled(768, 432, [detection((100, 100, 700, 300), label=label)])
    assert labels[0].layer.height < 30
    assert labels[0].right <= 768


def test_held_boxes_are_thinner_and_soon_gone() -> None:
    annotator = Annotator(BARE)
    picture = annotator.annotate(
        explained(plain(), cold(), [detection((100, 100, 400, 300))], time=1.0)
    )
    fresh = int((picture != GREY).any(2).sum())
    held = annotator.annotate(frame(plain(), time=1.2, sampled=False))
    old = annotator.annotate(frame(plain(), time=3.0, sampled=False))
    assert fresh > int((held != GREY).any(2).sum()) > 0
    assert (old == GREY).all()


def test_black_or_white_text() -> None:
    assert text_colour(WHITE) == BLACK
    assert text_colour(BLACK) == WHITE
