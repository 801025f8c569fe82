"""The C library's malloc in a process that runs for months (glibc; other libraries do without)."""

import ctypes
from contextlib import suppress

from streamcam.clock import Clock

# From malloc.h.
_M_ARENA_MAX = -8

# By default there are eight arenas a core, and each keeps what its threads once needed at the same
# time: with 4 cameras and a video of 720p every 5 s on 2 cores 920 MB in 16 arenas, of which 290 MB
# were used, against 780 MB in 2. That costs no speed: six videos in 18 s of CPU time instead of 19.
#
# A fixed size from which blocks are mapped one by one would return them at once, but the kernel has
# to clear every page anew: 20 % (from 4 MB on) to 25 % (1 MB) more CPU time.
_ARENAS = 2

# Returning memory takes up to 0.2 s on a busy machine. A video of 720p leaves 200 MB: returned once
# a minute only, they stayed for moments or for a minute, depending on when it ended.
_PERIOD = 60.0
_PERIOD_AFTER_FILES = 10.0


def limit_arenas() -> None:
    """Let all threads share a few heaps; to be called before the process has started many."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


class MemoryTrimmer:
    """Returns to the system the pages of freed memory that malloc keeps.

    Otherwise a service's memory would rise for hours: blocks of pictures that come and go lie
    between others that stay.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self._files_ended = 0

    def trim_if_due(self, files_ended: int) -> bool:
        """Trim once a minute, sooner where more files have ended by now; return whether it did."""
        period = _PERIOD if files_ended == self._files_ended else _PERIOD_AFTER_FILES
        if self._clock.monotonic() < self._last + period:
            return False
        self._last = self._clock.monotonic()
        self._files_ended = files_ended
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        return True
