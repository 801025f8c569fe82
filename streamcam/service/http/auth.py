"""Who may look: where the server listens, the token, and whom it answers."""

import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers

from streamcam.config.schema import HttpSettings
from streamcam.errors import ConfigError

COOKIE = "streamcam"

_SHORTEST_TOKEN = 16
"""Characters. Of 16 random letters there are 2**75: nobody guesses them over a network."""


class Access:
    """Tells who may look at all, and who knows the token.

    Args:
        host: Where the server listens.
        token: What visitors must know, None where everybody on this machine may look.

    Raises:
        ConfigError: Other machines could look without a token.
    """

    def __init__(self, host: str, token: str | None = None) -> None:
        self._loopback = _is_loopback(host)
        if token is None and not self._loopback:
            raise ConfigError(
                f"http.host: {host} lets other machines look, and there is no token",
                hint="Put a long random word into a file and name it as http.token_file, or listen "
                "on 127.0.0.1.",
            )
        self._hosts = {"localhost", "127.0.0.1", "::1", host.lower()}
        self._token = None if token is None else token.encode()

    @classmethod
    def of(cls, settings: HttpSettings) -> "Access":
        """Read the token where there is one.

        Raises:
            ConfigError: It cannot be read, is too short, or there has to be one.
        """
        token = None if settings.token_file is None else _read_token(settings.token_file)
        return cls(settings.host, token)

    @property
    def guarded(self) -> bool:
        """Whether a token is needed."""
        return self._token is not None

    def knows_host(self, headers: Headers) -> bool:
        """Tell whether a request means this server by name.

        A page of somebody else, whose name was made to point to this machine (DNS rebinding), does
        not. Other machines may reach a guarded server by any name: the token keeps them out.
        """
        if not self._loopback:
            return True
        return _host_name(headers.get("host", "")) in self._hosts

    def allows(self, headers: Headers) -> bool:
        """Tell whether a request carries the token, in its header or as the cookie."""
        if self._token is None:
            return True
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(word.strip()):
            return True
        return hmac.compare_digest(_cookie(headers).encode(), self.cookie().encode())

    def is_token(self, word: str) -> bool:
        """Tell in constant time whether a word is the token."""
        return self._token is not None and hmac.compare_digest(word.encode(), self._token)

    def cookie(self) -> str:
        """Return what a browser keeps instead of the token: it cannot be turned back into it."""
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
    if len(token) < _SHORTEST_TOKEN:
        raise ConfigError(
            f"http.token_file: the token in {path} has less than {_SHORTEST_TOKEN} characters",
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
    """Return the name in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
