"""Authentication: the token, the hosts that are answered, and the middleware that enforces both."""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamcam.config.schema import HttpSettings
from streamcam.errors import ConfigError

COOKIE = "streamcam"

MAX_HEAD_BYTES = 16 * 1024
"""Of a request's head: well above what browsers and proxies send, and what others refuse."""

MAX_BODY_BYTES = 64 * 1024
"""Of what changes something: a hundred zones of fifty points each."""

UNCHANGEABLE = "changes need a token: set http.token_file"

_MIN_TOKEN_LENGTH = 16
"""Characters. There are 2**75 sequences of 16 random letters: too many to guess over a network."""

_OPEN = ("/healthz", "/readyz", "/login")
"""Answered without a token and whatever the number of clients: a service manager whose health check
is refused would restart the service."""

_STATIC = "/static/"
"""The program's own files: not secret, and the login page needs them."""

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


class Access:
    """Decides whether a request may be answered.

    Args:
        settings: Where the server listens, and the file of its token.
        token: One that was made for this server alone, instead of the file's. Its cookie has a name
            of its own: browsers send a machine's cookies to all of its ports.

    Raises:
        ConfigError: The token cannot be read or is too short, or there is none although other
            machines could connect.
    """

    def __init__(self, settings: HttpSettings, token: str | None = None) -> None:
        host, file = settings.host, settings.token_file
        given = token if token is not None or file is None else _read_token(file)
        self._token = None if given is None else given.encode()
        own = "" if token is None else f"-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
        self.cookie_name = COOKIE + own
        self._loopback = _is_loopback(host)
        if self._token is None and not self._loopback:
            raise ConfigError(
                f"http.host: {host} lets other machines look, and there is no token",
                hint="Put a long random word into a file and name it as http.token_file, or listen "
                "on 127.0.0.1.",
            )
        self._hosts = {"localhost", "127.0.0.1", "::1", host.lower()}

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def knows_host(self, headers: Headers) -> bool:
        """Tell whether a request names this server as its host.

        A foreign page whose name was made to resolve to this machine (DNS rebinding) does not. A
        server on a public address may be named anything: the token protects it.
        """
        if not self._loopback:
            return True
        return _host_name(headers.get("host", "")) in self._hosts

    def allows(self, headers: Headers) -> bool:
        """Tell whether a request has the token, in its header or as the cookie."""
        if self._token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(token.strip()):
            return True
        return hmac.compare_digest(
            _cookie(headers, self.cookie_name).encode(), self.cookie().encode()
        )

    def check_change(self, request: Request) -> None:
        """Refuse a request that changes something, unless it is known who wants it: 403.

        A browser sends a visitor's cookie with whatever a foreign page makes it ask, so it must
        also tell that the page is this server's own.
        """
        if not self.needs_token:
            raise HTTPException(HTTPStatus.FORBIDDEN, UNCHANGEABLE)
        if _is_foreign(request.headers):
            raise HTTPException(HTTPStatus.FORBIDDEN, "changes come from this server's own pages")

    def is_token(self, text: str) -> bool:
        """Tell in constant time whether a text is the token."""
        return self._token is not None and hmac.compare_digest(text.encode(), self._token)

    def cookie(self) -> str:
        """Return the cookie that a browser keeps: the token cannot be derived from it."""
        return hmac.new(self._token or b"", b"streamcam cookie", hashlib.sha256).hexdigest()


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(
            f"http.token_file: {path} cannot be read: {error.strerror}",
            hint="Make it readable for the user that runs streamcam, and for nobody else.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"http.token_file: {path} holds more than letters and digits",
            hint=f"Make one: openssl rand -hex 16 > {path}",
        ) from error
    if len(token) < _MIN_TOKEN_LENGTH:
        raise ConfigError(
            f"http.token_file: the token in {path} has less than {_MIN_TOKEN_LENGTH} characters",
            hint=f"Make a longer one: openssl rand -hex 16 > {path}",
        )
    return token


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _is_foreign(headers: Headers) -> bool:
    """Tell whether another site's page made the browser ask; programs name no site."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


class AuthMiddleware:
    """Refuses requests without access, or above the limit of clients; adds security headers.

    Plain ASGI, so that bodies are not buffered.
    """

    def __init__(self, app: ASGIApp, access: Access, max_clients: int) -> None:
        self._app = app
        self._access = access
        self._max_clients = max_clients
        self._clients = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        send = _with_security_headers(send)
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif _is_open(scope["path"]):
            await self._app(scope, receive, send)
        elif self._clients >= self._max_clients:
            await _refused(503, "too many clients", {"retry-after": "5"})(scope, receive, send)
        else:
            self._clients += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._clients -= 1

    def _refusal(self, scope: Scope) -> JSONResponse | RedirectResponse | None:
        headers, path = Headers(scope=scope), scope["path"]
        if _head_size(scope) > MAX_HEAD_BYTES:
            return _refused(431, "the request's head is too long")
        if not self._access.knows_host(headers):
            return _refused(421, "this server is not known by that name")
        if _is_open(path):
            return None
        if self._access.allows(headers):
            return _body_refusal(headers)
        if "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return _refused(401, "a token is needed", {"www-authenticate": "Bearer"})


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_STATIC)


def _head_size(scope: Scope) -> int:
    """Return the approximate size of a request's head: the parser bounds incomplete ones only."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope["raw_path"]) + len(scope["query_string"]) + fields


def _body_refusal(headers: Headers) -> JSONResponse | None:
    if "transfer-encoding" in headers:
        return _refused(411, "the length of the request's body must be given")
    # The parser takes digits only.
    if int(headers.get("content-length", "0")) > MAX_BODY_BYTES:
        return _refused(413, "the request's body is too long")
    return None


def _refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": text}, status, headers)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return send_with_headers


def _without_body(send: Send) -> Send:
    """Answer HEAD like GET without the body; sending ends there, so files are not read."""
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body"})

    return send_head
