"""The C library's malloc in a process that runs for months (glibc; other libraries do without)."""

import ctypes
from contextlib import suppress

# From malloc.h.
_M_ARENA_MAX = -8

# By default there are eight arenas a core, and each keeps what its threads once needed at the same
# time: with 4 cameras and a video of 720p every 5 s on 2 cores 1,130 MB in 16 arenas, of which 300
# MB were used, against 780 MB in 2. That costs no speed: six videos in 18 s of CPU time, not 19.
#
# A fixed size from which blocks are mapped one by one would return them at once, but the kernel has
# to clear every page anew: 20 % (from 4 MB on) to 25 % (1 MB) more CPU time.
_ARENAS = 2


def limit_arenas() -> None:
    """Let all threads share a few heaps; to be called before the process has started many."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def return_free_memory() -> None:
    """Return to the system the pages of freed memory that malloc keeps.

    Otherwise a service's memory would rise for hours: blocks of pictures that come and go lie
    between others that stay.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
