"""Servers for a test, ended after it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from tests.servers import rtsp
from tests.servers.rtsp import RtspServer, ServedStream
from tests.servers.s3 import S3Server

StartRtsp: TypeAlias = Callable[..., RtspServer]


@pytest.fixture
def rtsp_server() -> Iterator[StartRtsp]:
    """Start RTSP servers, e.g. `rtsp_server({"cam": ServedStream()}, password="secret")`."""
    rtsp.require()
    with ExitStack() as stack:

        def start(streams: Mapping[str, ServedStream] | None = None, **options: Any) -> RtspServer:
            return stack.enter_context(RtspServer(streams, **options))

        yield start


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that all tests share; each one uses a prefix of its own."""
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server as this process's environment names it; the list of its requests is empty."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    s3_server.forget()
    return s3_server
