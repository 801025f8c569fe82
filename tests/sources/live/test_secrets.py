"""Nothing that a live source says holds a password: no status, no error, no line of any log."""

import logging
import re
from urllib.parse import quote

import pytest

from streamcam.errors import SourceError
from tests.servers.faulty import GarbageServer
from tests.servers.fixtures import StartRtsp
from tests.servers.http import StreamHttpServer
from tests.sources.live.viewer import Viewer

PASSWORD = "Zq7@k:w/4?x#9%d"
PLAIN = "Zq7-kw4x9d"
TOKEN = "t0k3n-5ecret"


def said(viewer: Viewer, caplog: pytest.LogCaptureFixture) -> str:
    """Return all that a source says while it connects, is denied, or gives a few frames."""
    texts = []
    with caplog.at_level(logging.DEBUG):
        try:
            viewer.take(3)
        except SourceError as error:
            texts += [str(error), repr(error), error.message, str(error.hint)]
    texts += [repr(status) + str(status.error) for status in viewer.statuses]
    texts += [repr(viewer.source.info), repr(viewer.source.status), viewer.source._address.redacted]
    texts += [record.getMessage() for record in caplog.records]
    return "\n".join(texts)


def assert_keeps(text: str, *secrets: str) -> None:
    for secret in secrets:
        for form in (secret, quote(secret), quote(secret, safe="")):
            assert form not in text
        for part in re.split(r"\W", secret):
            assert len(part) < 3 or part not in text


@pytest.mark.parametrize("password", [PLAIN, PASSWORD])
def test_rtsp(rtsp_server: StartRtsp, caplog: pytest.LogCaptureFixture, password: str) -> None:
    server = rtsp_server(password=password)
    for typed in (password, "wr0ng" + password):
        text = said(Viewer(server.url("cam", "admin", typed), reconnect=False), caplog)
        assert "rtsp" in text, "FFmpeg's own lines"
        assert_keeps(text, password, typed)


@pytest.mark.parametrize("password", [PLAIN, PASSWORD])
def test_http(caplog: pytest.LogCaptureFixture, password: str) -> None:
    with StreamHttpServer(password=password) as server:
        for typed in (password, "wr0ng" + password):
            url = server.url(f"mjpeg?token={TOKEN}", "admin", quote(typed, ""))
            text = said(Viewer(url, reconnect=False), caplog)
            assert_keeps(text, password, typed, TOKEN)
    assert "libav.http" in text, "FFmpeg's own lines"


def test_nothing_that_answers(caplog: pytest.LogCaptureFixture) -> None:
    with GarbageServer("noise") as server:
        url = server.url("http").replace("//", f"//admin:{quote(PASSWORD, '')}@")
        text = said(Viewer(url, reconnect=False), caplog)
    text += said(Viewer(f"rtsp://admin:{PLAIN}@127.0.0.1:1/cam", reconnect=False), caplog)
    text += said(Viewer(f"no-such-scheme://admin:{PLAIN}@cam/", reconnect=False), caplog)
    text += said(Viewer(f"/no/such/file?{PLAIN}", reconnect=False), caplog)
    assert_keeps(text.replace(f"/no/such/file?{PLAIN}", ""), PASSWORD, PLAIN)


def test_options(caplog: pytest.LogCaptureFixture) -> None:
    with StreamHttpServer() as server:
        options = {"headers": f"Authorization: Bearer {TOKEN}\r\n"}
        text = said(Viewer(server.url("mjpeg"), options=options, reconnect=False), caplog)
    assert_keeps(text, TOKEN)
