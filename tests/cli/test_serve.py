"""`streamcam serve` where it cannot start."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Streamcam

BARS = '[[camera]]\nname = "bars"\nurl = "testsrc2=size=64x48:rate=20"\nformat = "lavfi"\n'


def test_a_port_that_is_taken_is_named(streamcam: Streamcam, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        (tmp_path / "config.toml").write_text(f"[http]\nport = {port}\n{BARS}")
        done = streamcam("serve", "--config", "config.toml", cwd=tmp_path)
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use. Is another" in line


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ("", 78, "names nothing to explain"),
        ("[live]\nsegmnt = 3\n", 78, 'live.segmnt: unknown, did you mean "segment"?'),
        ('[http]\nhost = "0.0.0.0"\n' + BARS, 78, "http.host: 0.0.0.0 lets other machines look"),
        ('[[folder]]\npath = "file"\n', 78, "/file is not a folder"),
        ('[output]\nfolder = "file/out"\n' + BARS, 1, "output.folder: file/out cannot be written"),
        ('[[camera]]\nname = "Files"\nurl = "demo://street"\n', 78, "camera.0.name"),
        (BARS + BARS, 78, "two cameras are called 'bars'"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_reported(
    streamcam: Streamcam, tmp_path: Path, config: str, code: int, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "config.toml").write_text(config, encoding="utf-8")
    done = streamcam("serve", "--config", "config.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
