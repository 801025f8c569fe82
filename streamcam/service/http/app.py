"""The application: routes, and the page's files."""

from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from streamcam.clock import Clock
from streamcam.errors import StreamcamError
from streamcam.service.http.api import Api
from streamcam.service.http.auth import COOKIE, Access
from streamcam.service.http.live import Live
from streamcam.service.http.result_files import Files
from streamcam.service.metrics import Metrics
from streamcam.service.status import Overview
from streamcam.urls import redacted_url
from streamcam.version import __version__

STATIC = Path(__file__).parent / "static"

_DAYS_LOGGED_IN = 30
_LONGEST_FORM = 4096


def make_app(overview: Overview, metrics: Metrics, access: Access, clock: Clock) -> FastAPI:
    """Put the application together.

    Args:
        overview: What it tells of.
        metrics: What was counted.
        access: Who may look.
        clock: Tells the time.
    """
    app = FastAPI(
        title="streamcam",
        summary="What an object detector looks at.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(Api(overview, clock).router)
    app.include_router(Live(overview, clock).router)
    app.include_router(Files(overview).router)
    _add_health(app, overview, metrics, access)
    _add_pages(app, access)
    app.add_exception_handler(StreamcamError, _unavailable)
    return app


def _add_health(app: FastAPI, overview: Overview, metrics: Metrics, access: Access) -> None:
    @app.get("/healthz", tags=["service"], response_class=PlainTextResponse)
    async def alive() -> PlainTextResponse:
        """Whether the service is alive; if not (503), it wants to be restarted."""
        # On the loop itself: it needs none of the threads that a slow disk may hold up.
        if overview.alive():
            return PlainTextResponse("alive\n")
        return PlainTextResponse("not alive\n", HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/readyz", tags=["service"], response_class=JSONResponse)
    def ready(request: Request) -> JSONResponse:
        """Whether the engine is warm and every camera up; if not (503), why."""
        reasons = [redacted_url(reason) for reason in overview.readiness()]
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        told = reasons if access.allows(request.headers) else []
        return JSONResponse({"ready": not reasons, "reasons": told}, status)

    @app.get("/metrics", tags=["service"], response_class=Response)
    def numbers() -> Response:
        """Numbers for Prometheus."""
        return Response(metrics.text(overview), media_type=CONTENT_TYPE_LATEST)


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
        return _page("login.html") if access.guarded else RedirectResponse("/", 303)

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        if not access.is_token(await _form_value(request, "token")):
            return _page("wrong.html", HTTPStatus.UNAUTHORIZED)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            access.cookie(),
            max_age=_DAYS_LOGGED_IN * 86400,
            httponly=True,
            samesite="strict",
            # The server speaks plain HTTP; a proxy in front of it may not.
            secure=request.headers.get("x-forwarded-proto") == "https",
        )
        return response


async def _form_value(request: Request, name: str) -> str:
    """Return a value of a small form, empty where it is missing or the form too long."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return ""
    except ClientDisconnect:
        return ""
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[0].strip()


def _page(name: str, status: int = HTTPStatus.OK) -> FileResponse:
    return FileResponse(STATIC / name, status, {"cache-control": "no-cache"})


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": redacted_url(str(error))}, HTTPStatus.SERVICE_UNAVAILABLE)
