"""Servers for a test, ended after it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from tests.servers import rtsp
from tests.servers.rtsp import RtspServer, ServedStream

StartRtsp: TypeAlias = Callable[..., RtspServer]


@pytest.fixture
def rtsp_server() -> Iterator[StartRtsp]:
    """Start RTSP servers, e.g. `rtsp_server({"cam": ServedStream()}, password="secret")`."""
    rtsp.require()
    with ExitStack() as stack:

        def start(streams: Mapping[str, ServedStream] | None = None, **options: Any) -> RtspServer:
            return stack.enter_context(RtspServer(streams, **options))

        yield start
