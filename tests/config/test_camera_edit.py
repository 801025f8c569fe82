"""A camera's regions in the text of a configuration: what changes, and what stays as it is."""

import tomllib
from difflib import unified_diff
from typing import Any

import pytest

from streamcam.config.camera_edit import Values, camera_values, edited
from streamcam.errors import ConfigError, UsageError

TEXT = """\
# Of the house.
[output]
folder   = "out"   # a disk of its own

[[camera]]
name = "front"  # the first
url = "demo://street"
[camera.sinks.times]
digits = 3

[[camera]]
name = 'yard'
url = "demo://street?seed=2"
ignore = [
  [0, 0, 1, 0.2],  # the sky
  [0.1, 0.1, 0.2, 0.3, 0.4, 0.5],  # a tree
]
[[camera.zones]]
# Where parcels lie.
name = "door"
points = [0, 0.5, 0.2, 0.5, 0.2, 1]

# What follows stays.
[live]
max_fps = 5
"""
SKY, TREE = [0.0, 0.0, 1.0, 0.2], [0.1, 0.1, 0.2, 0.3, 0.4, 0.5]
DOOR = {"name": "door", "points": [0.0, 0.5, 0.2, 0.5, 0.2, 1.0]}
BOX = [0.25, 0.25, 0.5, 0.5]


def changed(camera: str, text: str = TEXT, **values: Any) -> list[str]:
    """Return the lines that a change takes away and adds."""
    after = edited(text, camera, values)
    lines = unified_diff(text.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_what_does_not_change_stays_as_it_is_written() -> None:
    assert edited(TEXT, "yard", {"ignore": [SKY, TREE], "zones": [DOOR], "lines": []}) == TEXT


def test_a_new_list_stands_before_the_tables_of_its_camera() -> None:
    assert changed("front", ignore=[BOX]) == ["+ignore = [[0.25, 0.25, 0.5, 0.5]]"]
    assert changed("front", ignore=[BOX, SKY]) == [
        *("+ignore = [", "+    [0.25, 0.25, 0.5, 0.5],", "+    [0.0, 0.0, 1.0, 0.2],", "+]"),
    ]


def test_comments_stay_with_the_regions_that_stay() -> None:
    assert changed("yard", ignore=[TREE]) == ["-  [0, 0, 1, 0.2],  # the sky"]
    assert changed("yard", ignore=[SKY, BOX, TREE]) == ["+  [0.25, 0.25, 0.5, 0.5],"]
    moved = {**DOOR, "points": BOX}
    assert changed("yard", zones=[moved]) == [
        "-points = [0, 0.5, 0.2, 0.5, 0.2, 1]",
        "+points = [0.25, 0.25, 0.5, 0.5]",
    ]


def test_new_tables_follow_with_a_line_between_them() -> None:
    gate, lane = {"name": "gate", "points": BOX}, {"name": "lane", "points": SKY}
    after = edited(TEXT, "yard", {"zones": [DOOR, gate, lane]})
    assert "\n\n\n" not in after
    assert '\n\n[[camera.zones]]\nname = "gate"\n' in after
    assert '\n\n[[camera.zones]]\nname = "lane"\n' in after
    assert after.endswith("[live]\nmax_fps = 5\n")


def test_a_zone_keeps_what_else_is_said_of_it() -> None:
    text = TEXT.replace("points = [0, 0.5", 'note = "x"\npoints = [0, 0.5')
    after = edited(text, "yard", {"zones": [{**DOOR, "points": BOX}]})
    assert camera_values(after, "yard", ["zones"]) == {
        "zones": [{"name": "door", "note": "x", "points": BOX}]
    }


def test_a_renamed_zone_keeps_its_place_and_comments() -> None:
    assert changed("yard", zones=[{**DOOR, "name": "gate"}]) == ['-name = "door"', '+name = "gate"']


def test_comments_of_what_follows_stay_there() -> None:
    after = edited(TEXT, "yard", {"zones": [], "lines": [{"name": "gate", "points": BOX}]})
    assert after.endswith(
        '[[camera.lines]]\nname = "gate"\npoints = [0.25, 0.25, 0.5, 0.5]\n\n'
        "# What follows stays.\n[live]\nmax_fps = 5\n"
    )
    # Tables of other kinds between two cameras keep their places too.
    between = TEXT.replace("[[camera]]\nname = 'yard'", "# B\n[model]\n\n[[camera]]\nname = 'yard'")
    after = edited(between, "front", {"zones": [DOOR]})
    added = '\n[[camera.zones]]\nname = "door"\npoints = [0.0, 0.5, 0.2, 0.5, 0.2, 1.0]\n'
    assert after == between.replace("\n\n# B", f"\n{added}\n# B")
    assert after.replace(added, "") == between


def test_an_empty_list_goes() -> None:
    after = edited(TEXT, "yard", {"ignore": [], "zones": [], "lines": []})
    assert camera_values(after, "yard", ["ignore", "zones", "lines"]) == {}
    assert tomllib.loads(after)["live"] == {"max_fps": 5}


@pytest.mark.parametrize(
    "text",
    [
        '[[camera]]\r\nname = "yard"\r\n# last\r\n',
        '[[camera]]\nname = "yard"',
        '[[camera]]\nname = "yard"\n\n\n',
        '[[camera]]\nname = "yard"\nclasses = [\n  "a",\n  "[[camera]]"\n]\n# next\n[live]\n',
        '[[camera]]\nname = "yard"\nurl = """\n[live]\n"""\n[live]\n[camera.events]\n# x\n',
        '[[camera]]\nname = "yard"\nsinks.times.digits = 1\n[camera.events]\nclasses = []\n',
        '[[camera]]\n"name" = "yard"\nzones = [{name = "a", points = [1, 2]}]  # here\n',
        '[[camera]]\nname = "yard"\nignore = [] # none yet\n[[camera]]\nname = "z"\n',
    ],
)
def test_every_way_to_write_a_camera_can_be_edited(text: str) -> None:
    values: Values = {
        "ignore": [BOX, TREE],
        "zones": [DOOR, {"name": 'a "b" ü', "points": BOX}],
        "lines": [{"name": "gate", "points": BOX}],
    }
    after = edited(text, "yard", values)
    assert camera_values(after, "yard", list(values)) == values
    assert after.count("\r\n") in (0, after.count("\n"))
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(f"#{comment}" in after for comment in comments)
    assert edited(after, "yard", values) == after


def test_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="has no camera back"):
        edited(TEXT, "back", {"ignore": [BOX]})


def test_a_camera_that_is_no_table_of_its_own_is_refused() -> None:
    text = 'camera = [ {name = "front"}, # one\n  {name = "yard", zones = [{name = "a"}]} ]\n'
    with pytest.raises(ConfigError, match="camera yard is written in a way"):
        edited(text, "yard", {"ignore": [BOX]})


def test_what_cannot_be_edited_without_loss_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(_: object) -> str:
        return '[[camera]]\nname = "yard"\n'

    monkeypatch.setattr("tomlkit.dumps", lossy)
    with pytest.raises(ConfigError, match="camera yard is written in a way"):
        edited(TEXT, "yard", {"ignore": [BOX]})
