"""Maps errors of object storage to ours, and tells those that pass from those that stay.

Each storage service has a client of its own with its own errors; what they share is the built-in
errors that fsspec's file systems translate the plain cases to. The rest is known by its class's
name, so that no client needs to be installed.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from streamcam.errors import SinkError, SinkUnavailableError, SourceUnavailableError, StreamcamError
from streamcam.storage.services import service_of
from streamcam.urls import redacted_url

_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "DefaultCredentialsError",
    "RefreshError",
    "ClientAuthenticationError",
)
"""Errors of botocore, google-auth and azure-core that mean: there are no usable credentials."""

_CHANGED = "FileExpired"

_LASTING = (
    PermissionError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ValueError,
    TypeError,
)
_LASTING_NUMBERS = (errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG)
_LASTING_STATUSES = range(400, 500)
_PASSING_STATUSES = (408, 425, 429)


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed in a moment: a network, a busy server."""
    if isinstance(error, _LASTING) or _kind(error) in (*_CREDENTIALS, _CHANGED):
        return False
    status = getattr(error, "status", None)
    if status in _LASTING_STATUSES:
        return status in _PASSING_STATUSES
    return getattr(error, "errno", None) not in _LASTING_NUMBERS


def reading_object(url: str, shown: str) -> AbstractContextManager[None]:
    """Map errors of reading to `SourceUnavailableError`; `shown` is the URL for people."""
    return _mapped(_source_error, url, shown)


def writing_object(url: str) -> AbstractContextManager[None]:
    """Map errors of writing to `SinkError` or `SinkUnavailableError`."""
    return _mapped(_sink_error, url, url)


@contextmanager
def _mapped(
    ours: Callable[[Exception, str, str], StreamcamError], url: str, shown: str
) -> Iterator[None]:
    try:
        yield
    except StreamcamError:
        raise
    except Exception as error:
        raise ours(error, url, shown) from error


def _source_error(error: Exception, url: str, shown: str) -> SourceUnavailableError:
    if isinstance(error, FileNotFoundError):
        return SourceUnavailableError(
            f"{shown}: there is no such object", hint="Check bucket and name."
        )
    if _is_denied(error):
        return SourceUnavailableError(f"{shown}: access is denied", hint=service_of(url).access)
    if _kind(error) in _CREDENTIALS:
        return SourceUnavailableError(f"{shown}: no credentials", hint=service_of(url).access)
    if _kind(error) == _CHANGED:
        return SourceUnavailableError(
            f"{shown}: was replaced while it was read", hint="Run it again."
        )
    if is_transient(error):
        return SourceUnavailableError(
            f"{shown}: the storage does not answer: {_reason(error)}",
            hint="Check the network; run it again when it answers.",
        )
    return SourceUnavailableError(f"{shown}: cannot be read: {_reason(error)}")


def _sink_error(error: Exception, url: str, shown: str) -> SinkError:
    if isinstance(error, FileNotFoundError):
        return SinkError(
            f"{shown}: cannot be written: there is no such bucket",
            hint="Make the bucket first, or check its name.",
        )
    if _is_denied(error):
        return SinkError(f"{shown}: may not be written", hint=service_of(url).access)
    if _kind(error) in _CREDENTIALS:
        return SinkError(f"{shown}: no credentials", hint=service_of(url).access)
    if is_transient(error):
        return SinkUnavailableError(
            f"{shown}: the storage does not answer: {_reason(error)}",
            hint="What is complete is kept. Run it again when it answers.",
        )
    return SinkError(f"{shown}: cannot be written: {_reason(error)}")


def _is_denied(error: Exception) -> bool:
    return isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403)


def _kind(error: Exception) -> str:
    return type(error).__name__


def _reason(error: Exception) -> str:
    """Return what is wrong, without the URLs that such texts are full of: they may be signed."""
    text = " ".join(str(error).split()) or _kind(error)
    return redacted_url(text)
