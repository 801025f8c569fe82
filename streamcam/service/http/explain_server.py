"""The server of `streamcam explain`: on this machine alone, for who knows the token."""

import secrets
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.responses import FileResponse, JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from streamcam.config.schema import HttpSettings
from streamcam.errors import StreamcamError
from streamcam.explain.session import ExplainSession
from streamcam.service.http.answers import message
from streamcam.service.http.auth import Access
from streamcam.service.http.explain_routes import ExplainRoutes
from streamcam.service.http.server import STATIC
from streamcam.service.http.web_server import WebServer

HOST = "127.0.0.1"


class ExplainServer(WebServer):
    """Serves the page of one session to who knows its token.

    On a machine that several people use, loopback alone would let all of them look. As in Jupyter
    the token is in the address that is printed; the browser keeps it as a cookie until it is
    closed, and every session has a new one.

    Args:
        session: What is looked at.
        port: To listen on; 0 for any free one.
        chosen: Methods that are compared at first.
    """

    def __init__(self, session: ExplainSession, port: int = 0, chosen: Sequence[str] = ()) -> None:
        self._token = secrets.token_urlsafe(24)
        settings = HttpSettings(host=HOST, port=port)
        access = Access(settings, self._token)
        app = _make_app(ExplainRoutes(session, access, chosen), access)
        super().__init__(app, access, settings, "choose another --port")

    @property
    def entrance(self) -> str:
        """The address that lets a browser in."""
        return f"{self.url}/login?token={self._token}"


def _make_app(routes: ExplainRoutes, access: Access) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(StreamcamError, _failed)

    @app.get("/")
    def page() -> FileResponse:
        return _page("explain.html")

    @app.get("/login")
    def login(request: Request, token: str = "") -> Response:
        if not access.is_token(token):
            known = access.allows(request.headers)
            return (
                RedirectResponse("/", HTTPStatus.SEE_OTHER)
                if known
                else _page("explain_login.html", HTTPStatus.UNAUTHORIZED)
            )
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        response.set_cookie(access.cookie_name, access.cookie(), httponly=True, samesite="strict")
        return response

    return app


def _page(name: str, status: int = HTTPStatus.OK) -> FileResponse:
    return FileResponse(STATIC / name, status, {"cache-control": "no-cache"})


def _failed(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": message(str(error))}, HTTPStatus.SERVICE_UNAVAILABLE)
