"""What every request passes before the application sees it. Plain ASGI: no body is ever held up."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamcam.service.http.auth import Access
from streamcam.service.http.protocol import LONGEST_HEAD

_OPEN = ("/healthz", "/readyz", "/login")
"""Answered at once, without a token and however many clients there are: whoever watches over the
service would restart it otherwise."""

_STATIC = "/static/"
"""The program's own files, the same everywhere: nothing to hide, and the login page needs them."""

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class AuthMiddleware:
    """Refuses who may not look, or comes when too many do; adds the headers that protect browsers.

    Args:
        app: What is behind it.
        access: Who may look.
        max_clients: Requests that are answered at a time.
    """

    def __init__(self, app: ASGIApp, access: Access, max_clients: int) -> None:
        self._app = app
        self._access = access
        self._max_clients = max_clients
        self._clients = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        send = _protected(send)
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _bodyless(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif _is_open(scope["path"]):
            await self._app(scope, receive, send)
        elif self._clients >= self._max_clients:
            await _refused(503, "too many clients", {"retry-after": "5"})(scope, receive, send)
        else:
            await self._admit(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._clients += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._clients -= 1

    def _refusal(self, scope: Scope) -> JSONResponse | RedirectResponse | None:
        headers, path = Headers(scope=scope), scope["path"]
        if _head_size(scope) > LONGEST_HEAD:
            return _refused(431, "the request's head is too long")
        if not self._access.knows_host(headers):
            return _refused(421, "this server is not known by that name")
        if _is_open(path) or self._access.allows(headers):
            return None
        if "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return _refused(401, "a token is needed", {"www-authenticate": "Bearer"})


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_STATIC)


def _head_size(scope: Scope) -> int:
    """Return about how long a request's head is: the parser only bounds what comes in pieces."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope["raw_path"]) + len(scope["query_string"]) + fields


def _refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": text}, status, headers)


def _protected(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return with_headers


def _bodyless(send: Send) -> Send:
    """Answer HEAD like GET, but for the body; sending ends there, so files are not read."""
    ended = False

    async def without_body(message: Message) -> None:
        nonlocal ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body"})

    return without_body
