"""The HTTP server of the service: its application, pages and health."""

import logging
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from streamcam.clock import Clock
from streamcam.config.schema import HttpSettings
from streamcam.errors import StreamcamError
from streamcam.service.http.answers import message
from streamcam.service.http.api import ApiRoutes
from streamcam.service.http.auth import Access
from streamcam.service.http.event_routes import EventRoutes
from streamcam.service.http.live_pictures import PictureRoutes
from streamcam.service.http.recordings import RecordingRoutes
from streamcam.service.http.region_routes import RegionRoutes
from streamcam.service.http.web_server import WebServer
from streamcam.service.metrics import Metrics
from streamcam.service.region_editor import RegionEditor
from streamcam.service.service_status import ServiceStatus
from streamcam.version import __version__

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

_LOGIN_DAYS = 30
_MAX_FORM_BYTES = 4096


class HttpServer(WebServer):
    """Serves health, metrics, the API and the live page. Raises as `Access` does."""

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
        super().__init__(app, access, settings, "choose another http.host or http.port")

    def start(self) -> None:
        super().start()
        _log.info("the live page is at %s", self.url)


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
            access.cookie_name,
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
