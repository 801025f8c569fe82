"""A server of `streamcam explain` over the drawn street, and who visits it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from streamcam.explain.session import ExplainSession
from streamcam.service.http.explain_server import ExplainServer
from tests.explain.drawn_street import session as session
from tests.service.http.conftest import Answer, Visitor


@pytest.fixture(scope="module")
def explained(session: ExplainSession) -> Iterator[ExplainServer]:
    server = ExplainServer(session, chosen=["layercam"])
    server.start()
    yield server
    server.stop()


class Guest(Visitor):
    """Asks an explain server, with its token or without."""

    def __init__(self, server: ExplainServer) -> None:
        self.url = server.url
        self.port = int(server.url.rpartition(":")[2])
        self.token = server.entrance.rpartition("=")[2]

    def known(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Ask as the page does, with the token."""
        text = None if body is None else json.dumps(body)
        given = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        return self(path, method, text, **{**given, **headers})


@pytest.fixture
def guest(explained: ExplainServer) -> Guest:
    return Guest(explained)
