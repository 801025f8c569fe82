"""What a benchmark wants to know of the processes that it measures; from Linux's /proc."""

import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int, *, ended: bool = False) -> float:
    """Return the CPU time that a process has used; 0 for one that has gone.

    With `ended`, that of its children that have ended is added.
    """
    return _cpu_seconds(_read(pid, "stat"), 4 if ended else 2)


def thread_cpu_seconds(pid: int) -> dict[int, float]:
    """Return the CPU time that each thread of a process has used, by the kernel's number."""
    threads = [entry.name for entry in Path(f"/proc/{pid}/task").iterdir()]
    return {int(name): _cpu_seconds(_read(pid, f"task/{name}/stat")) for name in threads}


def machine_cpu_seconds() -> float:
    """Return the CPU time that anybody has used of the cores that are open to this process."""
    own = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    rows = [line.split() for line in _text(Path("/proc/stat")).splitlines()]
    # Idle, and waiting for a disk, are the fourth and fifth; guests are in the first two already.
    used = [[*row[1:4], *row[6:9]] for row in rows if row[0] in own]
    return sum(int(ticks) for row in used for ticks in row) / _TICKS


def resident_megabytes(pid: int) -> float:
    """Return how much memory a process has in RAM, what it shares included."""
    fields = _read(pid, "statm").split()
    return int(fields[1]) * _PAGE / 1e6 if fields else 0.0


def anonymous_megabytes(pid: int) -> float:
    """Return how much memory a process has in RAM that belongs to no file."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", _read(pid, "status"), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return _entries(pid, "task")


def descriptors(pid: int) -> int:
    """Return how many file descriptors a process holds."""
    return _entries(pid, "fd")


def children(pid: int) -> list[int]:
    """Return the processes that any thread of a process has started."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    return [int(child) for task in tasks for child in _text(task / "children").split()]


def workers(pid: int) -> list[int]:
    """Return the processes of a service's readers of cameras, and of its published streams."""
    servers = [
        child for child in children(pid) if "streamcam.fork_server" in _read(child, "cmdline")
    ]
    return [worker for server in servers for worker in children(server)]


def _cpu_seconds(stat: str, values: int = 2) -> float:
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11 : 11 + values])) / _TICKS if fields else 0.0


def _read(pid: int, name: str) -> str:
    return _text(Path(f"/proc/{pid}/{name}"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _entries(pid: int, name: str) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{name}").iterdir())
    except OSError:
        return 0
