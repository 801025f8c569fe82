"""Who works on a job, and whether that process is still there."""

import os
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")

# After its name, which may hold spaces, a process's start time is the 20th field of its stat.
_START_FIELD = 19


def myself() -> str:
    """Return this process's name in the ledger: unlike that of any process before or after it.

    Made of the host, the boot, the space in which process ids count, the process id, and the time
    at which the process started: ids are used again.
    """
    pid = os.getpid()
    return f"{_place()} {pid} {_started(pid)}"


def is_gone(owner: str) -> bool | None:
    """Tell whether a process has ended; None for one whose processes cannot be seen from here."""
    place, _, rest = owner.partition(" ")
    pid, _, started = rest.partition(" ")
    if place != _place() or not started:
        return None
    return _started(int(pid)) != started


def _place() -> str:
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
    # A dead process whose parent has not yet asked for it is a zombie.
    return "" if fields[0] in (b"Z", b"X") else fields[_START_FIELD].decode()
