"""The HTTP server in a thread of its own."""

import logging
import socket
import threading
from contextlib import closing

import uvicorn

from streamcam.clock import Clock
from streamcam.config.schema import HttpSettings
from streamcam.errors import StreamcamError
from streamcam.service.http.app import make_app
from streamcam.service.http.auth import Access
from streamcam.service.http.auth_middleware import AuthMiddleware
from streamcam.service.http.protocol import LONGEST_HEAD, PATIENCE, bounded
from streamcam.service.metrics import Metrics
from streamcam.service.status import Overview

_log = logging.getLogger(__name__)

_SPARE_CONNECTIONS = 64
"""Beyond those that are answered: browsers keep up to six open, and health checks need one."""

_BACKLOG = 128
_GRACE = 2
"""Seconds for answers to end when the server stops: connections are cut, so they end at once."""


class HttpServer:
    """Serves health, metrics, the API and the live page; never in the way of engine or signals.

    It is started once.

    Args:
        overview: What it tells of.
        metrics: What was counted.
        settings: Where it listens, and for whom.
        clock: Tells the time.

    Raises:
        ConfigError: Other machines could look without a token, or it cannot be read.
    """

    def __init__(
        self,
        overview: Overview,
        metrics: Metrics,
        settings: HttpSettings,
        clock: Clock | None = None,
    ) -> None:
        access = Access.of(settings)
        app = make_app(overview, metrics, access, clock or Clock())
        self._settings = settings
        self._server = uvicorn.Server(
            _config(AuthMiddleware(app, access, settings.max_clients), settings)
        )
        self._thread: threading.Thread | None = None
        self._port = settings.port

    @property
    def url(self) -> str:
        """Where it can be reached from this machine."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            StreamcamError: The address cannot be listened on.
        """
        listener = _listen(self._settings.host, self._settings.port)
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="streamcam http", daemon=True
        )
        self._thread.start()
        _log.info("the live page is at %s", self.url)

    def stop(self) -> None:
        """Cut all connections and end; safe to call twice, or without a start."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None

    def _run(self, listener: socket.socket) -> None:
        with closing(listener):
            self._server.run([listener])


def _config(gate: AuthMiddleware, settings: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        gate,
        http=bounded(settings.max_clients + _SPARE_CONNECTIONS),
        ws="none",
        lifespan="off",
        log_config=None,
        # Its warnings tell of bad requests, which anybody could fill a log with.
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(PATIENCE),
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # A restart does not wait for the last one's connections to be forgotten.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise StreamcamError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="Is another streamcam running? Otherwise choose another http.host or http.port.",
        ) from error
    return listener
