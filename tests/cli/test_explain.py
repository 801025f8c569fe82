"""`streamcam explain` as a user runs it: it starts, is answered, and ends by Ctrl-C."""

import http.client
import json
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Streamcam, command, environment

SCENE = "demo://street?seconds=2&seed=1&width=384&height=216"
SMALL = ("--imgsz", "416")
PATIENCE = 120


def test_it_starts_is_answered_and_ends_by_ctrl_c() -> None:
    words = command("explain", SCENE, *SMALL, "--methods", "gradcam, hirescam", "--at", 1)
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            parts = urlsplit(process.stdout.readline().strip())
            assert parts.hostname == "127.0.0.1"
            token = parts.query.removeprefix("token=")
            answer = asked(parts.port, token)
            process.send_signal(signal.SIGINT)
            rest, told = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, told
    assert rest == ""
    assert "Ctrl-C ends it" in told
    assert answer["source"].startswith("demo://street")
    assert answer["chosen"] == ["gradcam", "hirescam"]
    assert answer["time"] == 1.0
    assert answer["boxes"]


def asked(port: int | None, token: str) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/api/session", headers={"Authorization": f"Bearer {token}"})
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.jpg"], 69, "absent.jpg"),
        ([SCENE, "--methods", "gradcamm"], 2, "gradcam++"),
        ([SCENE, "--at", "30"], 1, "it lasts 2.0 s"),
        ([SCENE, "--at", "-1"], 2, "--at"),
        (["not-a-picture.jpg"], 1, "not-a-picture.jpg"),
        (["rtsp://user:secret@host/cam"], 1, "streams cannot be read"),
    ],
)
def test_errors_have_two_lines(
    streamcam: Streamcam, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "not-a-picture.jpg").write_bytes(b"no picture" * 50)
    done = streamcam("explain", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
