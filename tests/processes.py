"""What a test may know of processes, its own among them; from Linux's /proc."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 20.0
"""Seconds for what takes a moment on an idle machine."""


def eventually(condition: Callable[[], object], within: float = PATIENCE) -> bool:
    """Wait until a condition holds; tell whether it came to hold in time."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be asked how it ended does not."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid: int) -> str:
    """Return a process's state, one letter: S sleeps, T is stopped, Z is dead; empty: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent_of(pid: int) -> int:
    """Return the process that has started another, or has adopted it."""
    found = re.search(r"^PPid:\t(\d+)$", _read(pid, "status"), re.MULTILINE)
    assert found, f"there is no process {pid}"
    return int(found[1])


def children() -> set[int]:
    """Return the processes that any thread of this one has started and not yet seen the end of.

    Worker processes count, but not the fork server that starts them and stays.
    """
    found = children_of(os.getpid())
    servers = {pid for pid in found if "streamcam.fork_server" in _read(pid, "cmdline")}
    return (found - servers).union(*map(children_of, servers))


def children_of(parent: int) -> set[int]:
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    pattern = re.compile(rf"^PPid:\t{parent}$", re.MULTILINE)
    return {pid for pid in pids if pattern.search(_read(pid, "status"))}


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors() -> int:
    """Return how many file descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    """Return how much memory this process has in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
