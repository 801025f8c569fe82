"""What makes a file the one that it was: its inode, size, time and content."""

import fcntl
import hashlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_BLOCK = 1 << 16
_BLOCKS = 16


@dataclass(frozen=True, slots=True)
class Stat:
    """What a look at the folder tells of a file without reading it.

    Attributes:
        size: In bytes.
        mtime_ns: Time of the last change, nanoseconds since 1970.
        inode: Its number in the file system.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, result: os.stat_result) -> Self:
        """Take what matters from a stat."""
        return cls(result.st_size, result.st_mtime_ns, result.st_ino)


@dataclass(frozen=True, slots=True)
class Identity:
    """A file's stat and what it contains.

    Attributes:
        stat: What a look at the folder tells.
        fingerprint: Digest of its size and of blocks of its content, in hexadecimal.
    """

    stat: Stat
    fingerprint: str


def identity_of(path: Path) -> Identity:
    """Read a file's identity.

    The fingerprint covers the whole of a file up to 1 MiB; of a longer one 16 blocks of 64 KiB at
    even distances, the first and the last included. That is a constant cost, and any re-encoding,
    cut or append is seen; a change of the same length that lies between the blocks is not.

    Raises:
        OSError: The file is not there or may not be read.
    """
    with path.open("rb") as file:
        stat = Stat.of(os.fstat(file.fileno()))
        digest = hashlib.blake2b(str(stat.size).encode(), digest_size=16)
        for offset in _offsets(stat.size):
            file.seek(offset)
            digest.update(file.read(_BLOCK))
    return Identity(stat, digest.hexdigest())


def _offsets(size: int) -> list[int]:
    if size <= _BLOCK * _BLOCKS:
        return list(range(0, size, _BLOCK))
    return [(size - _BLOCK) * step // (_BLOCKS - 1) for step in range(_BLOCKS)]


def is_being_written(path: Path) -> bool | None:
    """Tell whether any process has the file open for writing; None where that cannot be known.

    Linux grants a read lease only on a file that nobody has open for writing. Not every file system
    has leases, and they are granted to a file's owner and to root only.

    Raises:
        OSError: The file is not there or may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A writer that comes while the lease is held is announced by a signal: one that is ignored
        # by default, instead of SIGIO, which would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
