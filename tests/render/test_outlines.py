"""Outlines of zones and lines, where they were asked for, and nowhere else."""

from dataclasses import replace

import numpy as np

from streamcam.regions import Line, Zone
from streamcam.render import Style, annotate
from streamcam.types import Picture
from tests.render.scene import GREY, cold, explained, plain

BARE = Style(legend=False, timestamp=False)
ZONE = Zone("door", ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
LINE = Line("gate", (0.2, 0.5), (0.8, 0.5))


def drawn(*zones: Zone, lines: tuple[Line, ...] = ()) -> Picture:
    style = replace(BARE, zones=zones, lines=lines)
    return annotate(explained(plain(640, 360), cold()), style)


def test_without_regions_nothing_is_drawn() -> None:
    assert (drawn() == GREY).all()


def test_the_edges_of_a_zone_are_thin_and_lie_where_its_points_are() -> None:
    picture = drawn(ZONE)
    changed = (picture != GREY).any(axis=2)
    for column in (300, 400):
        rows = np.flatnonzero(changed[:, column])
        assert {90, 269} <= set(rows)
        assert all(min(abs(row - 90), abs(row - 269)) <= 3 for row in rows)
    assert not changed[150:250, 250:450].any(), "only the outline"
    assert (picture[90, 400] > 220).all()
    assert (picture[88, 400] < GREY).all(), "its halo"


def test_names_are_written_inside_the_frame() -> None:
    at_the_corner = Zone("a name that is long", ((0.95, 0.0), (1.0, 0.0), (1.0, 1.0)))
    picture = drawn(at_the_corner)
    text = (picture[:24, :600] == 255).all(axis=2)
    assert text.sum() > 40, "it begins further left than its zone"


def test_a_name_without_a_font_is_left_out() -> None:
    named, nameless = drawn(ZONE), drawn(replace(ZONE, name="\U0010ffff"))
    assert (named != nameless).any()
    assert (nameless[95:110, 165:230] == GREY).all()


def test_the_arrow_of_a_line_points_to_where_in_leads() -> None:
    """Who looks from the left to the right has the lower side of the picture on the right."""
    changed = (drawn(lines=(LINE,)) != GREY).any(axis=2)
    below, above = changed[184:200, 300:340], changed[160:176, 300:340]
    assert below.any()
    assert not above.any()
    turned = (drawn(lines=(Line("gate", LINE.end, LINE.start),)) != GREY).any(axis=2)
    assert turned[160:176, 300:340].any()
    assert not turned[184:200, 300:340].any()
