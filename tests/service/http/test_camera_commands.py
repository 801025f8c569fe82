"""Cameras are paused and recordings rest over HTTP, for who has the token."""

from pathlib import Path

import pytest

from streamcam.types import CameraState
from tests.service.http.conftest import TOKEN, Serve
from tests.service.http.fake_status import FakeStatus

COMMANDS = {
    "pause": ("pause", True),
    "resume": ("pause", False),
    "recording/pause": ("record", False),
    "recording/resume": ("record", True),
}


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_reaches_its_camera(
    fake: FakeStatus, serve: Serve, token_file: Path, path: str
) -> None:
    fake.add("front")
    ask = serve(fake, token_file=token_file)
    words = {"method": "POST", "Authorization": f"Bearer {TOKEN}"}
    assert ask(f"/api/cameras/front/{path}", **words).status == 204
    assert ask(f"/api/cameras/back/{path}", **words).status == 404
    what, wanted = COMMANDS[path]
    assert fake.commands == [(what, "front", wanted), (what, "back", wanted)]


def test_without_the_token_no_command_is_taken(
    fake: FakeStatus, serve: Serve, token_file: Path
) -> None:
    fake.add("front")
    path = "/api/cameras/front/pause"
    assert serve(fake)(path, "POST").status == 403, "a service without one changes nothing"
    ask = serve(fake, token_file=token_file)
    assert ask(path, "POST").status == 401
    own = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(path, "POST", Origin="https://elsewhere.example", **own).status == 403
    assert ask(path, **own).status == 405
    assert fake.commands == []


def test_a_paused_camera_is_shown_as_paused(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front", CameraState.PAUSED)
    (camera,) = serve(fake)("/api/status").json["cameras"]
    assert (camera["state"], camera["recording"]) == ("paused", None)
