"""Names from outside stay inside of their level."""

import re

import pytest

from streamcam.notifications.topics import Topics, identifier, level_of


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("person", "person"),
        ("Person", "person"),
        ("sports ball", "sports_ball"),
        ("a/b", "a_b"),
        ("+", "_"),
        ("#", "_"),
        ("a/#", "a_"),
        ("nul\x00l", "nul_l"),
        ("line\nbreak\t", "line_break_"),
        ("", "_"),
        ("Füße", "füsse"),
        ("status", "status_"),
        ("x" * 500, "x" * 100),
        ("half\ud800", "half_"),
    ],
)
def test_a_class_is_one_level(label: str, level: str) -> None:
    assert level_of(label) == level
    assert level.encode()


def test_topics_are_those_of_frigate() -> None:
    topics = Topics("home/cams", "ha")
    assert topics.available == "home/cams/available"
    assert topics.events == "home/cams/events"
    assert topics.count("yard", "person") == "home/cams/yard/person"
    assert topics.snapshot("yard", "person") == "home/cams/yard/person/snapshot"
    assert topics.switch("yard", "enabled", "set") == "home/cams/yard/enabled/set"
    assert topics.levels("home/cams/yard/enabled/set") == ["yard", "enabled", "set"]
    device = topics.device("cam.1")
    assert device is not None
    assert re.fullmatch(r"ha/device/home_cams_[0-9a-f]{8}/cam_1_[0-9a-f]{8}/config", device)
    assert Topics("home", "").device("yard") is None


def test_different_names_have_different_identifiers() -> None:
    names = ["a.b", "a_b", "a-b", "a b", "a/b", "ä"]
    assert len({identifier(name) for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", identifier(name)) for name in names)
    assert identifier("a-b_C9") == "a-b_C9"
