"""Settings of cameras, live sources and their recordings."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from streamcam.config import Settings, load_settings
from streamcam.config.toml import to_toml
from streamcam.errors import ConfigError

SECRET = "hunter2"


def load(text: str, folder: Path) -> Settings:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def fault(text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, folder)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    return re.sub(r"\S+/config\.toml(, line \d+)?: ", "", str(caught.value))


def camera(*lines: str, name: str = "yard") -> str:
    return "\n".join(["[[camera]]", f"name = {name!r}", "url = 'rtsp://cam/1'", *lines, ""])


def test_a_camera_needs_a_name_and_a_url_and_nothing_else(tmp_path: Path) -> None:
    (made,) = load(camera(), tmp_path).camera
    assert (made.name, made.url, made.enabled) == ("yard", "rtsp://cam/1", True)
    assert made.model is made.max_fps is made.record is made.classes is made.publish is None
    assert (made.ignore, made.options) == ((), {})
    message = fault("[[camera]]\n", tmp_path)
    assert "camera.0.name: is missing" in message
    assert "camera.0.url: is missing" in message


@pytest.mark.parametrize("name", ["yard", "a", "Cam_2.left-side", "0", "x" * 64])
def test_names(name: str, tmp_path: Path) -> None:
    assert load(camera(name=name), tmp_path).camera[0].name == name


@pytest.mark.parametrize("name", ["", "a b", "../x", "-rf", ".hidden", "a/b", "höf", "x" * 65])
def test_names_that_no_folder_may_have(name: str, tmp_path: Path) -> None:
    assert "camera.0.name:" in fault(camera(name=name), tmp_path)


def test_two_of_one_name(tmp_path: Path) -> None:
    """Folders of some file systems know no case either."""
    message = fault(camera(name="yard") + camera(name="Yard"), tmp_path)
    assert message == "camera: two cameras are called 'yard'"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("max_fps = 0", "max_fps: must be more than 0 and at most 1000, not 0"),
        ("max_fps = 1001", "max_fps: must be more than 0 and at most 1000, not 1001"),
        ("confidence = 1.5", "confidence: must be 0 to 1, not 1.5"),
        ("record = 'sometimes'", "record: must be always, detections or never, not 'sometimes'"),
        ("model = ''", "model: must not be empty"),
        ("publish = ''", "publish: must be an rtsp, rtmp, srt, udp or tcp URL, not ''"),
        ("ignore = [[0, 0, 1]]", "ignore: a region is x, y, x, y, ...: two points (a box) or more"),
        ("ignore = [[0, 0]]", "ignore: a region is"),
        ("ignore = [[0, 0, 1, 1.1]]", "ignore: regions are in shares"),
        ("ignore = [0, 0, 1, 1]", "ignore.0: must be a list, not 0"),
        ("modle = 'x'", 'modle: unknown, did you mean "model"?'),
        ("fps = 3", "fps: unknown"),
        ("enabled = 'perhaps'", "enabled: must be true or false, not 'perhaps'"),
    ],
)
def test_bounds(line: str, reason: str, tmp_path: Path) -> None:
    assert f"camera.0.{reason}" in fault(camera(line), tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[live]\nsegment = 0", "live.segment: must be 1s to 1h, not 0"),
        ("[live]\nrecord = 'no'", "live.record: must be always, detections or never, not 'no'"),
        ("[live]\nmax_fps = -1", "live.max_fps: must be more than 0 and at most 1000, not -1"),
        (
            "[live]\nopen_timeout = 0",
            "live.open_timeout: must be more than 0 and at most 10m, not 0",
        ),
        (
            "[live]\nread_timeout = 601",
            "live.read_timeout: must be more than 0 and at most 10m, not 601s",
        ),
        ("[live]\npre_roll = 61", "live.pre_roll: must be 0 to 1m, not 61s"),
        ("[live]\nopen_timout = 1", 'live.open_timout: unknown, did you mean "open_timeout"?'),
        ("[retention]\nmax_age = 0", "retention.max_age: must be more than 0, not 0"),
        ("[retention]\nmax_bytes = 'lots'", "retention.max_bytes: must be a size such"),
        (
            "[retention]\nmax_bytes = 0",
            "retention.max_bytes: must be more than 0 and at most 1PB, not 0",
        ),
        ("[retention]\nmin_free = -5", "retention.min_free: must be 0 to 1PB, not -5B"),
        ("[retention]\nmax_byte = 1", 'retention.max_byte: unknown, did you mean "max_bytes"?'),
        ("[live]\nmax_fps = nan", "live.max_fps: must be a finite number, not nan"),
    ],
)
def test_bounds_of_what_holds_for_all(text: str, reason: str, tmp_path: Path) -> None:
    assert fault(text, tmp_path).startswith(reason)


def test_sizes_may_be_written_as_people_do(tmp_path: Path) -> None:
    made = load("[retention]\nmax_bytes = '200GB'\nmin_free = '1500MiB'\n", tmp_path).retention
    assert (made.max_bytes, made.min_free) == (200 * 10**9, 1500 << 20)


@pytest.mark.parametrize(
    "text",
    [
        f"[camera]\nname = 'a'\nurl = 'rtsp://u:{SECRET}@c'\noptions = {{ x = '{SECRET}' }}",
        f"camera = 'rtsp://u:{SECRET}@c'",
        f"camera = ['rtsp://u:{SECRET}@c']",
        f"[[camera]]\nname = 'a'\nurl = ['rtsp://u:{SECRET}@c']",
        f"[[camera]]\nname = 'a'\nurl = 'x'\nurll = 'rtsp://u:{SECRET}@c'",
        f"[[camera]]\nname = 'a'\nurl = 'x'\npublish = ['rtsp://u:{SECRET}@c']",
        f"[[camera]]\nname = 'a'\nurl = 'x'\noptions = {{ headers = ['Bearer {SECRET}'] }}",
        f"[[camera]]\nname = 'rtsp://u:{SECRET}@c'\nurl = 'x'",
        f"[[camera]]\nname = 'a'\nurl = 'rtsp://u:{SECRET}@c'\nmax_fps = 0",
        f"[[camera]]\nname = 'a'\nurl = 'rtsp://u:{SECRET}@c'\nmax_fps = 'rtsp://u:{SECRET}@c'",
    ],
)
def test_no_error_contains_a_secret(text: str, tmp_path: Path) -> None:
    assert fault(text, tmp_path).startswith("camera")


def test_a_camera_in_single_brackets_is_told_how_to_write_it(tmp_path: Path) -> None:
    assert (
        fault("[camera]\nname = 'a'\n", tmp_path)
        == "camera: must be tables [[camera]], not a table"
    )


FULL: dict[str, Any] = {
    "camera": [
        {
            "name": "yard",
            "url": "rtsp://10.0.0.5/stream1",
            "options": {"rtsp_transport": "udp", 'odd "name"': "a = b # c\n"},
            "max_fps": 2.5,
            "model": "ssdlite320_mobilenet_v3_large",
            "weights": "/srv/own.pth",
            "labels": "/srv/own.txt",
            "confidence": 0.25,
            "classes": ["person", "собака"],
            "ignore": [[0, 0, 1, 0.2], [0.1, 0.5, 0.3, 0.5, 0.2, 1]],
            "record": "detections",
            "publish": "rtsp://127.0.0.1:8554/yard",
        },
        {"name": "gate", "url": "testsrc2=size=64x48", "format": "lavfi", "enabled": False},
        {"name": "door", "url": "/dev/video0", "classes": []},
    ],
    "live": {"segment": 30, "record": "never"},
    "retention": {"max_age": "7d", "max_bytes": "200GB", "min_free": 1234567891},
}


def test_settings_with_cameras_survive_being_written_and_read(tmp_path: Path) -> None:
    settings = Settings.model_validate(FULL)
    text = to_toml(settings)
    assert load(text, tmp_path) == settings
    tables = tomllib.loads(text)["camera"]
    assert [table["name"] for table in tables] == ["yard", "gate", "door"]
    assert tables[2]["classes"] == []
    assert "classes" not in tables[1]


def test_what_is_shown_holds_no_secret_and_is_still_a_configuration(tmp_path: Path) -> None:
    settings = load(
        camera(f"publish = 'rtsp://me:{SECRET}@10.0.0.9/x?token={SECRET}'").replace(
            "rtsp://cam", f"rtsp://admin:{SECRET}%40@cam"
        )
        + f"options = {{ headers = 'Authorization: Bearer {SECRET}', rtsp_transport = 'udp' }}",
        tmp_path,
    )
    assert SECRET in settings.camera[0].url
    text = to_toml(settings)
    assert SECRET not in text
    (shown,) = load(text, tmp_path).camera
    assert shown.url == "rtsp://cam/1"
    assert shown.publish == "rtsp://10.0.0.9/x"
    assert shown.options == {"headers": "***", "rtsp_transport": "udp"}
