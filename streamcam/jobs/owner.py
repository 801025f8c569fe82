"""The process that owns a job: its name, whether it is alive, and the trace of its crash."""

import faulthandler
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_KERNEL_COUNTERS = Path("/proc/vmstat")

OUT_OF_MEMORY = "killed by the kernel because memory ran out"

# After its name, which may hold spaces, a process's start time is the 20th field of its stat.
_START_FIELD = 19

# Owners whose process can be seen are judged by it; others are given this long between heartbeats,
# which come every 5 s: a machine that swaps or resumes must not lose its jobs to another one.
_SILENCE_SECONDS = 60.0

_CRASH_PREFIX, _CRASH_ENDING = "crash-", ".log"


def this_process() -> str:
    """Return a name for this process that no process before or after it has.

    Made of the host, the boot, the PID namespace, the process id, and the time at which the
    process started, since ids are used again.
    """
    pid = os.getpid()
    return f"{_host()} {pid} {_started(pid)}"


def has_ended(owner: str) -> bool | None:
    """Tell whether a process has ended; None for one whose processes cannot be seen from here."""
    host, _, rest = owner.partition(" ")
    pid, _, started = rest.partition(" ")
    if host != _host() or not started:
        return None
    return _started(int(pid)) != started


def is_abandoned(owner: str, heartbeat: float) -> bool:
    ended = has_ended(owner)
    if ended is not None:
        return ended
    # Clocks may jump: what lies far in the future is as stale as what lies far in the past.
    return abs(time.time() - heartbeat) > _SILENCE_SECONDS


def count_oom_kills() -> int | None:
    """Return how many processes the kernel has killed for memory since the boot, None if unknown.

    Those of every cgroup are counted.
    """
    try:
        counters = dict(line.split() for line in _KERNEL_COUNTERS.read_text().splitlines())
        return int(counters["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


def killed_for_memory(owner: str, before: int | None) -> bool:
    """Tell whether a process that ended without a trace was killed for memory.

    `before` is what `count_oom_kills` gave when it was last seen, seconds before its end: the
    kernel tells nobody which process it killed.
    """
    now = count_oom_kills()
    here = owner.partition(" ")[0] == _host()
    return here and now is not None and before is not None and now > before


def _host() -> str:
    host = socket.gethostname().replace(" ", "-")
    try:
        return f"{host}/{_BOOT.read_text().strip()}/{_NAMESPACE.readlink()}"
    except OSError:
        return host


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since the boot; "" if there is none."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = state.rpartition(b")")[2].split()
    # A dead process whose parent has not yet waited for it is a zombie.
    return "" if fields[0] in (b"Z", b"X") else fields[_START_FIELD].decode()


@contextmanager
def crash_log(folder: Path, owner: str) -> Iterator[None]:
    """Have the interpreter log a fatal signal to a file in a folder during a block.

    A killed process leaves only its name, a crashed one the signal's too, and a traceback: that
    distinguishes a decoder crashed by a file from an impatient operator.
    """
    path = _crash_path(folder, owner)
    with path.open("w", encoding="utf-8") as file:
        print(owner, file=file, flush=True)
        faulthandler.enable(file)
        try:
            yield
        finally:
            faulthandler.disable()
            path.unlink(missing_ok=True)


def crash_of(folder: Path, owner: str) -> str | None:
    """Return what crashed a process, e.g. "Segmentation fault"; None if nothing did."""
    _, trace = _read_crash(_crash_path(folder, owner))
    first = trace.strip().partition("\n")[0]
    return first.removeprefix("Fatal Python error: ") or None


def remove_old_crash_logs(folder: Path) -> None:
    for path in folder.glob(f"{_CRASH_PREFIX}*{_CRASH_ENDING}"):
        owner, _ = _read_crash(path)
        if not owner or has_ended(owner):
            with suppress(OSError):
                path.unlink()


def _read_crash(path: Path) -> tuple[str, str]:
    try:
        owner, _, trace = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    except OSError:
        return "", ""
    return owner, trace


def _crash_path(folder: Path, owner: str) -> Path:
    digest = hashlib.sha256(owner.encode()).hexdigest()[:16]
    return folder / f"{_CRASH_PREFIX}{digest}{_CRASH_ENDING}"
