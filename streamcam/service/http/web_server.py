"""A web server of any application, in a thread of its own: its connections and their deadlines."""

import asyncio
import logging
import socket
import threading
from contextlib import closing
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamcam.config.schema import HttpSettings
from streamcam.errors import StreamcamError
from streamcam.service.http.auth import MAX_HEAD_BYTES, Access, AuthMiddleware

IDLE_SECONDS = 10.0
"""For a whole request, and between two. Browsers open spare connections, and reopen them when they
need them; a request of a few hundred bytes takes one round trip, three seconds on a network that
loses half its packets."""

STALLED_SECONDS = 30.0
"""In which a client has to read the 64 kB that wait for it. A browser whose video is paused stops
reading too; it asks again from where it stopped."""

_SPARE_CONNECTIONS = 64
"""In addition to those answered: browsers keep up to six open, and health checks need one."""

_BACKLOG = 128
_GRACE_SECONDS = 2
"""For responses to end when the server stops; connections are cut, so they end at once."""


class WebServer:
    """Serves an application to those whom `access` allows. Started once.

    `elsewhere` says how to make it listen elsewhere: a hint for where it cannot.
    """

    def __init__(
        self, app: ASGIApp, access: Access, settings: HttpSettings, elsewhere: str
    ) -> None:
        self._settings = settings
        self._elsewhere = elsewhere
        guarded = AuthMiddleware(app, access, settings.max_clients)
        self._server = uvicorn.Server(_config(guarded, settings))
        self._thread: threading.Thread | None = None
        self._port = settings.port

    @property
    def url(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def start(self) -> None:
        """Start listening and answering; raises `StreamcamError` where it cannot listen."""
        listener = _listen(self._settings.host, self._settings.port, self._elsewhere)
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="streamcam http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Cut all connections and end. Idempotent."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None

    def _run(self, listener: socket.socket) -> None:
        with closing(listener):
            self._server.run([listener])


def _config(app: AuthMiddleware, settings: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(settings.max_clients + _SPARE_CONNECTIONS),
        ws="none",
        lifespan="off",
        log_config=None,
        # Its warnings are about bad requests, with which anybody could fill a log.
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(IDLE_SECONDS),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with deadlines and a limit, against clients that are slow on purpose, or many.

    A new connection replaces the one that has been idle longest, so that idle clients do not lock
    out others: a connection is only ended while it has no request, or does not read its response.
    """

    def __init__(self, max_connections: int, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**arguments)
        self._max_connections = max_connections
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None
        self.idle_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        others = self._others()
        if len(others) >= self._max_connections:
            idle = [other for other in others if other.idle]
            oldest = min(idle, key=lambda other: other.idle_since, default=self)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._deadline)
        _cancel(self._read_deadline)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if not self.idle:
            _cancel(self._deadline)

    def on_response_complete(self) -> None:
        self._await_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_deadline = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._read_deadline)
        super().resume_writing()

    def shutdown(self) -> None:
        """End at once: the service does not wait for its clients."""
        self.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether the client has sent no request, or not all of one."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _await_request(self) -> None:
        self.idle_since = self.loop.time()
        _cancel(self._deadline)
        self._deadline = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _others(self) -> list["BoundedProtocol"]:
        return [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol)
            and other is not self
            and not other.transport.is_closing()
        ]


def _cancel(handle: asyncio.TimerHandle | None) -> None:
    if handle is not None:
        handle.cancel()


def _protocol(max_connections: int) -> type[asyncio.Protocol]:
    # uvicorn only ever calls it.
    return partial(BoundedProtocol, max_connections)  # type: ignore[return-value]


def _listen(host: str, port: int, elsewhere: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # So that a restart need not wait until the kernel forgets the former connections.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise StreamcamError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"Is another streamcam running? Otherwise {elsewhere}.",
        ) from error
    return listener
