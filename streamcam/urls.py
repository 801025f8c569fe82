"""URLs: their scheme, and versions without credentials for logs, records, pages and errors."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
"""Replaces a secret."""

_MIN_LENGTH = 3
"""Shorter secrets would be found in ordinary words."""

_SCHEME = r"\b([a-z][a-z0-9+.-]*)://"

# A password may hold what ends a URL in a text: quotes, blanks.
_USER_INFO = r"[^\s/?#@:]*:[^\n/?#@]*@"

_URL = re.compile(rf"{_SCHEME}((?:{_USER_INFO})?[^\s\"'<>]*)", re.IGNORECASE)
_SCHEME_START = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_WHOLE = re.compile(rf"{_SCHEME}(.*)", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"pass|token|key|secret|auth|cookie|header|user", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class StorageUrl:
    """The URL of an object in storage, or of all below a prefix, e.g. `s3://bucket/explained`.

    It can be extended as paths are, but is none: what takes it for a file is told so by its type.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "StorageUrl":
        return StorageUrl(f"{self.text.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The part after the last slash; "" of a bucket."""
        return self.text.partition("://")[2].rstrip("/").partition("/")[2].rpartition("/")[2]

    @property
    def parent(self) -> "StorageUrl":
        return StorageUrl(self.text.rstrip("/").removesuffix(self.name).rstrip("/"))


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL in lower case, None where there is none ("C:/a" has none)."""
    match = _SCHEME_START.match(text)
    return match[1].lower() if match else None


def is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def redacted_url(url: str) -> str:
    """Return a URL without user, password, query and fragment; other text as it is."""
    return _URL.sub(_without_credentials, url)


class Redactor:
    """Removes the secrets of some URLs from texts, in every encoded form.

    Any other URL in a text loses its credentials too.
    """

    def __init__(self, *urls: str, secrets: Iterable[str] = ()) -> None:
        hidden = {secret for url in urls for secret in _secrets(url)} | set(secrets)
        long = [secret for secret in hidden if len(unquote(secret)) >= _MIN_LENGTH]
        forms = {form for secret in long for form in _forms(secret)}
        # Longest first: a password may contain another one.
        ranked = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, ranked))) if ranked else None

    def __call__(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        return redacted_url(text)


def _without_credentials(match: re.Match[str]) -> str:
    _, rest = _split(match[2])
    return f"{match[1]}://{re.split(r'[?#]', rest, maxsplit=1)[0]}"


def _split(rest: str) -> tuple[str, str]:
    """Split what follows a URL's scheme into user and password, and host and path."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        user_info = authority.rpartition("@")[0]
    elif re.search(r":(?!\d*$)", re.sub(r"^\[[^\]]*\]", "", authority)):
        # No port is written like that: a password that holds a separator, which should have been
        # encoded.
        user_info = rest.rpartition("@")[0]
    else:
        user_info = ""
    return user_info, rest[len(user_info) :].removeprefix("@")


def _secrets(url: str) -> set[str]:
    """Return the secrets in a URL: its password, and the values in its query."""
    match = _WHOLE.match(url)
    if match is None:
        return set()
    user_info, rest = _split(match[2])
    query = rest.partition("?")[2].partition("#")[0]
    return {user_info, user_info.partition(":")[2], *re.findall(r"=([^&]*)", query)}


def _forms(secret: str) -> set[str]:
    plain = unquote(secret)
    return {secret, plain, quote(plain), quote(plain, safe=""), quote_plus(plain)}
