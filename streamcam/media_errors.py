"""Maps errors of PyAV and the operating system to ours, for reading and writing all media.

`name` is the medium's name for people. PyAV keeps FFmpeg's own log lines off the terminal unless
they are requested.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import av.error

from streamcam.errors import (
    CorruptMediaError,
    DiskFullError,
    NotMediaError,
    SinkError,
    SourceError,
    SourceUnavailableError,
    StreamcamError,
)

_Kinds: TypeAlias = tuple[type[Exception], ...]

# Classes of PyAV that also are the built-in ones of the same name are listed by the built-in.
_ABSENT: _Kinds = (FileNotFoundError, NotADirectoryError)
_FORBIDDEN: _Kinds = (
    PermissionError,
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
)
_UNFOUND: _Kinds = (av.error.HTTPNotFoundError,)
_SILENT: _Kinds = (
    TimeoutError,
    ConnectionError,
    BlockingIOError,
    InterruptedError,
    av.error.HTTPError,
    av.error.HTTPClientError,
)
_UNREADABLE: _Kinds = (
    av.error.InvalidDataError,
    av.error.EOFError,
    av.error.LookupError,
    av.error.PatchWelcomeError,
    av.error.NotImplementedError,
    av.error.ArgumentError,
    av.error.BufferTooSmallError,
    av.error.OverflowError,
    av.error.MemoryError,
    av.error.InputChangedError,
    av.error.OutputChangedError,
    av.error.ExperimentalError,
    av.error.ExternalError,
    av.error.UnknownError,
    av.error.UndefinedError,
    av.error.BugError,
    av.error.ExitError,
    av.error.PyAVCallbackError,
)
_SYSTEM: _Kinds = (OSError,)

FOREIGN: _Kinds = (*_UNREADABLE, *_FORBIDDEN, *_SILENT, *_SYSTEM)
"""Every error that reading or writing media may raise."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def opening(name: str) -> AbstractContextManager[None]:
    """Map errors of opening a medium to `NotMediaError` or `SourceUnavailableError`."""
    return _mapped(_opening_error, name)


def reading(name: str) -> AbstractContextManager[None]:
    """Map errors of reading an opened medium to `CorruptMediaError` or `SourceUnavailableError`."""
    return _mapped(_reading_error, name)


def receiving(name: str) -> AbstractContextManager[None]:
    """Map errors of connecting to a live source, or of reading it, to `SourceUnavailableError`."""
    return _mapped(_live_error, name)


def writing(name: str) -> AbstractContextManager[None]:
    """Map errors of writing to `DiskFullError` or another `SinkError`."""
    return _mapped(_sink_error, name)


@contextmanager
def _mapped(ours: Callable[[Exception, str], StreamcamError], name: str) -> Iterator[None]:
    try:
        yield
    except FOREIGN as error:
        raise ours(error, name) from error


def _opening_error(error: Exception, name: str) -> SourceError:
    if isinstance(error, _ABSENT):
        return SourceUnavailableError(f"{name}: no such file", hint="Check the path.")
    if isinstance(error, _FORBIDDEN):
        return SourceUnavailableError(f"{name}: may not be read", hint="Check its permissions.")
    if isinstance(error, _SILENT):
        return SourceUnavailableError(f"{name}: does not answer: {reason(error)}")
    if not isinstance(error, _UNREADABLE):
        return SourceUnavailableError(
            f"{name}: cannot be read: {reason(error)}",
            hint="It may be cut off, or its disk may be failing.",
        )
    return NotMediaError(
        f"{name}: not a video or picture that can be read: {reason(error)}",
        hint="It may be incomplete, damaged, or another kind of file under this name.",
    )


def _reading_error(error: Exception, name: str) -> SourceError:
    ours = _opening_error(error, name)
    if isinstance(ours, NotMediaError):
        return CorruptMediaError(f"{name}: became unreadable: {reason(error)}")
    return ours


def _live_error(error: Exception, name: str) -> SourceUnavailableError:
    if isinstance(error, _ABSENT + _UNFOUND):
        return SourceUnavailableError(
            f"{name}: there is no such stream or device", hint="Check its URL."
        )
    if isinstance(error, _FORBIDDEN):
        return SourceUnavailableError(
            f"{name}: access is denied", hint="Check user, password and permissions."
        )
    if isinstance(error, _SILENT):
        return SourceUnavailableError(f"{name}: does not answer: {reason(error)}")
    if isinstance(error, _UNREADABLE):
        return SourceUnavailableError(
            f"{name}: sends nothing that can be read: {reason(error)}",
            hint="Check its URL, and its format and options if it has some.",
        )
    return SourceUnavailableError(
        f"{name}: cannot be reached: {reason(error)}", hint="Check its URL and the network."
    )


def _sink_error(error: Exception, name: str) -> SinkError:
    if isinstance(error, OSError) and error.errno in _FULL:
        return DiskFullError(
            f"{name}: no space left on the disk", hint="Free some space and run it again."
        )
    if isinstance(error, _FORBIDDEN):
        return SinkError(f"{name}: may not be written", hint="Check the folder's permissions.")
    return SinkError(f"{name}: cannot be written: {reason(error)}")


def reason(error: Exception) -> str:
    """Return what is wrong, in a few words and without the medium's name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).lower()
