"""Every error that streamcam raises on purpose.

    StreamcamError                  exit 70
    ├── UsageError                  exit 2   invalid command line
    ├── ConfigError                 exit 78  invalid configuration
    ├── SourceError                 exit 1   an input that cannot be explained
    │   ├── NotMediaError           exit 1   no picture can be read from it
    │   ├── CorruptMediaError       exit 1   it becomes unreadable after its beginning
    │   └── SourceUnavailableError  exit 69  it is missing or does not answer (retryable)
    ├── SinkError                   exit 1   a result that cannot be written  (retryable)
    │   ├── DiskFullError           exit 1   the disk is full                 (retryable)
    │   └── SinkUnavailableError    exit 69  where results go does not answer (retryable)
    ├── WeightsError                exit 1   weights that cannot be used
    │   ├── WeightsMismatchError    exit 1   weights of another network
    │   └── WeightsUnavailableError exit 69  weights that cannot be fetched   (retryable)
    ├── StoreError                  exit 70  a database that cannot be used
    │   ├── JobStoreError           exit 70  that of watched folders' jobs
    │   └── EventStoreError         exit 70  that of events
    ├── ClusterError                exit 69  a Ray cluster that cannot be used
    └── DeviceError                 exit 70  the GPU failed                   (retryable)
        └── DeviceMemoryError       exit 70  no room for a model now          (retryable)

The message says what is wrong and where, `hint` what to do about it: two lines at most on a
terminal. `retryable`: the same work may succeed later.
"""

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    INTERNAL = 70
    CONFIG = 78


class StreamcamError(Exception):
    """Base of all errors that streamcam raises on purpose.

    Args:
        message: What is wrong and where, without a trailing full stop.
        hint: What to do about it, as one sentence.
        details: What is wrong in particular where that is several things, a line each.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, details: Sequence[str] = ()
    ) -> None:
        super().__init__(": ".join(filter(None, (message, "; ".join(details)))))
        self.message = message
        self.hint = hint
        self.details = details


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint with the known words that are near a wrong one; None where none is."""
    words = {each.casefold(): each for each in known}
    near = [words[each] for each in difflib.get_close_matches(word.casefold(), words, cutoff=0.5)]
    if not near:
        return None
    return f"Did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}?"


class UsageError(StreamcamError):
    exit_code = ExitCode.USAGE


class ConfigError(StreamcamError):
    exit_code = ExitCode.CONFIG


class SourceError(StreamcamError):
    exit_code = ExitCode.SOME_FAILED


class NotMediaError(SourceError):
    """No picture can be read from the input: not media, empty, or without a video stream."""


class CorruptMediaError(SourceError):
    """The input becomes unreadable after its beginning."""


class SourceUnavailableError(SourceError):
    exit_code = ExitCode.UNAVAILABLE
    retryable = True


class SinkError(StreamcamError):
    exit_code = ExitCode.SOME_FAILED
    retryable = True


class DiskFullError(SinkError):
    """The disk that takes the results is full."""


class SinkUnavailableError(SinkError):
    """The storage that takes the results does not answer."""

    exit_code = ExitCode.UNAVAILABLE


class WeightsError(StreamcamError):
    exit_code = ExitCode.SOME_FAILED


class WeightsMismatchError(WeightsError):
    """Weights that belong to another network."""


class WeightsUnavailableError(WeightsError):
    exit_code = ExitCode.UNAVAILABLE
    retryable = True


class StoreError(StreamcamError):
    """A database cannot be read or written."""


class JobStoreError(StoreError):
    """The store of watched folders' jobs cannot be read or written."""


class EventStoreError(StoreError):
    """The store of events cannot be read or written."""


class ClusterError(StreamcamError):
    """A Ray cluster that cannot be reached, or has no room for workers."""

    exit_code = ExitCode.UNAVAILABLE


class DeviceError(StreamcamError):
    """The GPU failed, and this process cannot recover it."""

    retryable = True


class DeviceMemoryError(DeviceError):
    """The GPU has no room for a model now; what else uses it may end."""
