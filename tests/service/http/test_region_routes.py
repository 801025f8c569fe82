"""Zones, lines and ignore regions: what the file says, what a change would do, and the change."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamcam.config.config_file import ConfigFile
from streamcam.service.http.auth import MAX_BODY_BYTES
from streamcam.service.region_editor import RegionEditor
from tests.service.http.conftest import TOKEN, Answer, Serve, Visitor
from tests.service.http.fake_status import FakeStatus

CONFIG = """\
# The house.
[[camera]]
name = "front"
url = "rtsp://admin:hunter2hunter@10.0.0.5/live?token=sesame"
options = { password = "open sesame" }  # of the door
ignore = [[0, 0, 1, 0.2]]
"""
PATH = "/api/cameras/front/regions"
TREE = [0.1, 0.1, 0.2, 0.3, 0.4, 0.5]


@dataclass
class Edited:
    """A service whose configuration can be changed, and what became of it."""

    file: Path
    fake: FakeStatus
    ask: Visitor
    reloads: list[str] = field(default_factory=list)

    def __call__(self, path: str, method: str, body: Any, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
        return self.ask(path, method, orjson.dumps(body).decode(), **given)

    def get(self) -> Any:
        return self.ask(PATH, Authorization=f"Bearer {TOKEN}").json

    def preview(self, **regions: Any) -> Any:
        answer = self(f"{PATH}/diff", "POST", regions)
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
def change(tmp_path: Path, token_file: Path, fake: FakeStatus, serve: Serve) -> Edited:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    file = ConfigFile(path, {}, {})
    fake.settings = file.load()
    reloads: list[str] = []

    def reload() -> None:
        reloads.append(path.read_text())
        fake.settings = file.load()

    editor = RegionEditor(file, lambda settings: settings, reload)
    return Edited(path, fake, serve(fake, editor=editor, token_file=token_file), reloads)


def test_a_change_is_shown_then_saved_then_in_force(change: Edited) -> None:
    found = {"zones": [], "lines": [], "ignore": [[0.0, 0.0, 1.0, 0.2]]}
    assert change.get() == {**found, "in_force": True, "obstacle": None}
    shown = change.preview(ignore=[TREE])
    assert shown["diff"] == [
        *("--- before", "+++ after", "@@ -3,4 +3,4 @@", ' name = "front"'),
        ' url = "rtsp://10.0.0.5/live"',
        " options = { password = *** }  # of the door",
        "-ignore = [[0, 0, 1, 0.2]]",
        "+ignore = [[0.1, 0.1, 0.2, 0.3, 0.4, 0.5]]",
    ]
    assert change.file.read_text() == CONFIG
    saved = change(PATH, "PUT", {"ignore": [TREE], "revision": shown["revision"]})
    assert (saved.status, saved.body) == (204, b"")
    expected = CONFIG.replace("[0, 0, 1, 0.2]", str(TREE))
    assert change.file.read_text() == expected
    assert change.reloads == [expected]
    assert change.get() == {**found, "ignore": [TREE], "in_force": True, "obstacle": None}
    change.file.write_text(CONFIG)
    assert change.get() == {**found, "in_force": False, "obstacle": None}


def test_nothing_to_change_is_an_empty_diff(change: Edited) -> None:
    assert change.preview(ignore=[[0, 0, 1, 0.2]])["diff"] == []


def test_what_was_changed_since_it_was_looked_at_is_not_overwritten(change: Edited) -> None:
    revision = change.preview(ignore=[TREE])["revision"]
    mine = f"{CONFIG}max_fps = 2\n"
    change.file.write_text(mine)
    answer = change(PATH, "PUT", {"ignore": [TREE], "revision": revision})
    assert answer.status == 409
    assert "config.toml was changed meanwhile. Look at" in answer.json["detail"]
    assert change.file.read_text() == mine
    assert not change.reloads


def test_what_would_not_be_valid_is_refused_with_its_line(change: Edited) -> None:
    answer = change(f"{PATH}/diff", "POST", {"ignore": [[0.5, 0.5]]})
    assert answer.status == 422
    assert "config.toml, line 6: camera.0.ignore: a region is x, y, x" in answer.json["detail"]
    revision = change.preview(ignore=[TREE])["revision"]
    answer = change(PATH, "PUT", {"ignore": [[0.5, 0.5]], "revision": revision})
    assert answer.status == 422
    assert change.file.read_text() == CONFIG


@pytest.mark.parametrize(
    ("text", "obstacle"),
    [
        ("name = \n", "config.toml is not valid TOML"),
        ('[[camera]]\nname = "yard"\nurl = "x"\n', "has no camera front"),
        (None, "cannot be written"),
    ],
)
def test_why_nothing_can_be_changed_is_told(
    change: Edited, text: str | None, obstacle: str
) -> None:
    change.file.unlink()
    if text is not None:
        change.file.write_text(text)
    told = change.get()
    assert obstacle in told["obstacle"]
    # What runs is shown.
    assert told["ignore"] == [[0.0, 0.0, 1.0, 0.2]]
    answer = change(f"{PATH}/diff", "POST", {})
    assert answer.status in (409, 422)
    assert obstacle in answer.json["detail"]


def test_without_a_token_nobody_changes_anything(
    change: Edited, serve: Serve, fake: FakeStatus
) -> None:
    ask = serve(fake)
    assert ask(PATH).json["obstacle"] == "changes need a token: set http.token_file"
    for method, path in (("POST", f"{PATH}/diff"), ("PUT", PATH)):
        answer = ask(path, method, '{"revision": ""}', Content_Type="application/json")
        assert answer.status == 403
        assert answer.json["detail"] == "changes need a token: set http.token_file"
        wrong = change(path, method, {"revision": ""}, Authorization="Bearer something-else-12345")
        assert wrong.status == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost:{port}"}, False),
        ({"Origin": "http://localhost:{port}"}, True),
        ({"Origin": "http://localhost:1"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_other_sites_pages_change_nothing(
    change: Edited, headers: dict[str, str], allowed: bool
) -> None:
    given = {name: value.format(port=change.ask.port) for name, value in headers.items()}
    given["Host"] = f"localhost:{change.ask.port}"
    answer = change(f"{PATH}/diff", "POST", {}, **given)
    assert answer.status == (200 if allowed else 403)


def test_long_bodies_are_refused(change: Edited) -> None:
    answer = change(f"{PATH}/diff", "POST", {"ignore": [[0.5] * MAX_BODY_BYTES]})
    assert answer.status == 413
    answer = change(f"{PATH}/diff", "POST", {}, Transfer_Encoding="chunked")
    assert answer.status == 411


def test_a_camera_that_is_not_there(change: Edited) -> None:
    assert change.ask(PATH.replace("front", "x"), Authorization=f"Bearer {TOKEN}").status == 404
