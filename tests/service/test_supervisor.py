"""What the supervisor does beside running cameras and folders."""

import ctypes
import re
from pathlib import Path

import pytest

from streamcam.service.supervisor import return_free_memory

BLOCK = 100_000  # bytes; malloc maps larger ones one by one, and unmaps them when they are freed
BLOCKS = 500


def anonymous_bytes() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10


def test_freed_memory_goes_back_to_the_system() -> None:
    """Also what lies between blocks that are still in use."""
    c = ctypes.CDLL(None)
    if not hasattr(c, "malloc_trim"):
        pytest.skip("this C library has no malloc_trim")
    c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    c.free.restype, c.free.argtypes = None, [ctypes.c_void_p]
    blocks = [c.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    kept, freed = blocks[::10], [block for n, block in enumerate(blocks) if n % 10]
    for block in freed:
        c.free(block)
    before = anonymous_bytes()
    return_free_memory()
    returned = before - anonymous_bytes()
    for block in kept:
        c.free(block)
    assert returned > 0.9 * len(freed) * BLOCK
