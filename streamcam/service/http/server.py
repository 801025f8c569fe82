"""The HTTP server in a thread of its own: its connections, application, pages and health."""

import asyncio
import logging
import socket
import threading
from contextlib import closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamcam.clock import Clock
from streamcam.config.schema import HttpSettings
from streamcam.errors import StreamcamError
from streamcam.service.http.answers import message
from streamcam.service.http.api import ApiRoutes
from streamcam.service.http.auth import COOKIE, MAX_HEAD_BYTES, Access, AuthMiddleware
from streamcam.service.http.event_routes import EventRoutes
from streamcam.service.http.live_pictures import PictureRoutes
from streamcam.service.http.recordings import RecordingRoutes
from streamcam.service.http.region_routes import RegionRoutes
from streamcam.service.metrics import Metrics
from streamcam.service.region_editor import RegionEditor
from streamcam.service.service_status import ServiceStatus
from streamcam.version import __version__

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

IDLE_SECONDS = 10.0
"""For a whole request, and between two. Browsers open spare connections, and reopen them when they
need them; a request of a few hundred bytes takes one round trip, three seconds on a network that
loses half its packets."""

STALLED_SECONDS = 30.0
"""In which a client has to read the 64 kB that wait for it. A browser whose video is paused stops
reading too; it asks again from where it stopped."""

_LOGIN_DAYS = 30
_MAX_FORM_BYTES = 4096

_SPARE_CONNECTIONS = 64
"""In addition to those answered: browsers keep up to six open, and health checks need one."""

_BACKLOG = 128
_GRACE_SECONDS = 2
"""For responses to end when the server stops; connections are cut, so they end at once."""


class HttpServer:
    """Serves health, metrics, the API and the live page. Started once; raises as `Access` does."""

    def __init__(
        self,
        service: ServiceStatus,
        metrics: Metrics,
        settings: HttpSettings,
        editor: RegionEditor,
        clock: Clock | None = None,
    ) -> None:
        access = Access(settings)
        app = make_app(service, metrics, access, editor, clock or Clock())
        self._settings = settings
        self._server = uvicorn.Server(
            _config(AuthMiddleware(app, access, settings.max_clients), settings)
        )
        self._thread: threading.Thread | None = None
        self._port = settings.port

    @property
    def url(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def start(self) -> None:
        """Start listening and answering; raises `StreamcamError` where it cannot listen."""
        listener = _listen(self._settings.host, self._settings.port)
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="streamcam http", daemon=True
        )
        self._thread.start()
        _log.info("the live page is at %s", self.url)

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


def _listen(host: str, port: int) -> socket.socket:
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
            hint="Is another streamcam running? Otherwise choose another http.host or http.port.",
        ) from error
    return listener


def make_app(
    service: ServiceStatus, metrics: Metrics, access: Access, editor: RegionEditor, clock: Clock
) -> FastAPI:
    app = FastAPI(
        title="streamcam",
        summary="What an object detector looks at.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(ApiRoutes(service, access, clock).router)
    app.include_router(RecordingRoutes(service).router)
    app.include_router(PictureRoutes(service, clock).router)
    app.include_router(EventRoutes(service, access).router)
    app.include_router(RegionRoutes(service, editor, access).router)
    _add_health(app, service, metrics, access)
    _add_pages(app, access)
    app.add_exception_handler(StreamcamError, _unavailable)
    return app


def _add_health(app: FastAPI, service: ServiceStatus, metrics: Metrics, access: Access) -> None:
    @app.get("/healthz", tags=["service"], response_class=PlainTextResponse)
    async def alive() -> PlainTextResponse:
        """Whether the service is alive; if not (503), it wants to be restarted."""
        # On the event loop: it needs none of the threads that a slow disk may block.
        if service.alive():
            return PlainTextResponse("alive\n")
        return PlainTextResponse("not alive\n", HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/readyz", tags=["service"], response_class=JSONResponse)
    def ready(request: Request) -> JSONResponse:
        """Whether the engine is warm and every camera up; if not (503), why."""
        reasons = [message(reason) for reason in service.readiness()]
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        shown = reasons if access.allows(request.headers) else []
        return JSONResponse({"ready": not reasons, "reasons": shown}, status)

    @app.get("/metrics", tags=["service"], response_class=Response)
    def numbers() -> Response:
        """Numbers for Prometheus."""
        return Response(metrics.text(service), media_type=CONTENT_TYPE_LATEST)


def _add_pages(app: FastAPI, access: Access) -> None:
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return _page("index.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return _page("docs.html")

    @app.get("/login", include_in_schema=False)
    def login() -> Response:
        return _page("login.html") if access.needs_token else RedirectResponse("/", 303)

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        if not access.is_token(await _form_value(request, "token")):
            return _page("wrong.html", HTTPStatus.UNAUTHORIZED)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            access.cookie(),
            max_age=_LOGIN_DAYS * 86400,
            httponly=True,
            samesite="strict",
            # The server speaks plain HTTP; a proxy in front of it may not.
            secure=request.headers.get("x-forwarded-proto") == "https",
        )
        return response


async def _form_value(request: Request, name: str) -> str:
    """Return a value of a small form; empty if it is missing or the form is too long."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MAX_FORM_BYTES:
                return ""
    except ClientDisconnect:
        return ""
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[0].strip()


def _page(name: str, status: int = HTTPStatus.OK) -> FileResponse:
    return FileResponse(STATIC / name, status, {"cache-control": "no-cache"})


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": message(str(error))}, HTTPStatus.SERVICE_UNAVAILABLE)
