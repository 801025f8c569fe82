"""Settings of tracking: zones and lines of files and of cameras."""

from pathlib import Path

import pytest

from streamcam.config import load_settings
from streamcam.config.toml import to_toml
from streamcam.regions import Line, Zone
from tests.config.test_camera_schema import camera, fault, load

ZONE = "{name = 'door', points = [0.1, 0.2, 0.3, 0.2, 0.2, 0.9]}"
LINE = "{name = 'gate', points = [0.1, 0.2, 0.3, 0.4]}"


def test_a_camera_has_zones_and_lines(tmp_path: Path) -> None:
    text = camera(
        "[[camera.zones]]",
        "name = 'door'",
        "points = [0.1, 0.2, 0.3, 0.4]",
        "[[camera.lines]]",
        "name = 'gate'",
        "points = [0, 1, 1, 0.5]",
    )
    (yard,) = load(text, tmp_path).camera
    assert [each.zone() for each in yard.zones] == [
        Zone("door", ((0.1, 0.2), (0.3, 0.2), (0.3, 0.4), (0.1, 0.4)))
    ]
    assert [each.line() for each in yard.lines] == [Line("gate", (0.0, 1.0), (1.0, 0.5))]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["zones = [{name = 'a', points = [0, 1]}]"], "camera.0.zones.0.points: a zone is x, y,"),
        (
            ["zones = [{name = 'a', points = [0, 1, 2, 3]}]"],
            "camera.0.zones.0.points: points are in shares of the width and height, 0..1",
        ),
        (["zones = [{points = [0, 0, 1, 1]}]"], "camera.0.zones.0.name: "),
        (["zones = [{name = '', points = [0, 0, 1, 1]}]"], "camera.0.zones.0.name: must be 1 to"),
        ([f"zones = [{ZONE}, {ZONE}]"], "camera.0.zones: two are called 'door'"),
        (
            ["zones = [{name = 'a', nome = 'b', points = [0, 0, 1, 1]}]"],
            "camera.0.zones.0.nome: unknown",
        ),
        (
            ["lines = [{name = 'a', points = [0, 1, 1, 1, 0, 0]}]"],
            "camera.0.lines.0.points: a line is x, y, x, y: two points",
        ),
        (
            ["lines = [{name = 'a', points = [0, 1, 0, 1]}]"],
            "camera.0.lines.0.points: a line is x, y, x, y: two points",
        ),
        ([f"lines = [{LINE}, {LINE}]"], "camera.0.lines: two are called 'gate'"),
    ],
)
def test_faults_of_regions_are_told(lines: list[str], message: str, tmp_path: Path) -> None:
    assert fault(camera(*lines), tmp_path).startswith(message)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("", False),
        ("[tracking]\nenabled = true", True),
        (f"[tracking]\nzones = [{ZONE}]", True),
        (f"[tracking]\nlines = [{LINE}]", True),
        ("[events]\nenabled = true", True),
        ("[tracking]\nlost_after = '9s'", False),
    ],
)
def test_files_are_tracked_where_something_needs_it(text: str, tmp_path: Path, *, on: bool) -> None:
    assert (load(text, tmp_path).file_tracking is not None) is on


def test_settings_with_regions_are_shown_as_they_can_be_read(tmp_path: Path) -> None:
    text = f"[tracking]\nzones = [{ZONE}]\n" + camera(f"zones = [{ZONE}]", f"lines = [{LINE}]")
    settings = load(text, tmp_path)
    shown = tmp_path / "shown.toml"
    shown.write_text(to_toml(settings))
    assert load_settings(shown) == settings
