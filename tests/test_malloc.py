"""How many heaps the threads of a service have, and what becomes of freed memory."""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.malloc import return_free_memory

BLOCK = 100_000  # bytes; malloc maps larger ones one by one, and unmaps them when they are freed
BLOCKS = 500


THREADS = """
import ctypes, threading
from streamcam.malloc import limit_arenas
limit_arenas()
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
together = threading.Barrier(7)
def work():
    c.malloc(100_000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
together.wait()
c.fopen.restype, c.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p] * 2
c.malloc_info.argtypes, c.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
file = c.fopen(b"/dev/stdout", b"w")
c.malloc_info(0, file)
c.fclose(file)
"""
"""Threads that allocate at the same time: by default each would have an arena."""


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


def test_the_threads_of_a_process_share_two_arenas() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("this C library has no malloc_info")
    words = (sys.executable, "-c", THREADS)
    printed = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert printed.count("<heap nr=") == 2
