"""What identifies a file: its stat, and a digest of its content that is quick to make."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

_BLOCK = 1 << 16
_BLOCKS = 16


class FileStat(NamedTuple):
    """What a scan tells of a file without opening it; the time is in nanoseconds since 1970."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, result: os.stat_result) -> Self:
        return cls(result.st_size, result.st_mtime_ns, result.st_ino)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file's stat, and a digest of its size and of blocks of its content, in hexadecimal."""

    stat: FileStat
    fingerprint: str


def identity_of(path: Path) -> FileIdentity:
    """Read a file's identity.

    The fingerprint covers the whole of a file up to 1 MiB; of a longer one 16 blocks of 64 KiB at
    even distances, the first and the last included. That is a constant cost, and detects any
    re-encoding, cut or append; a change of the same length between the blocks goes unnoticed.
    Raises `OSError` where the file cannot be read.
    """
    with path.open("rb") as file:
        stat = FileStat.of(os.fstat(file.fileno()))
        digest = hashlib.blake2b(str(stat.size).encode(), digest_size=16)
        for offset in _block_offsets(stat.size):
            file.seek(offset)
            digest.update(file.read(_BLOCK))
    return FileIdentity(stat, digest.hexdigest())


def sha256_of(path: Path | None) -> str | None:
    """Return the SHA-256 of a whole file in hexadecimal; None where there is no such file."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_of_text(text: str) -> str:
    """Return a fingerprint of what is its own description, such as the URL of a drawn scene."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _block_offsets(size: int) -> list[int]:
    if size <= _BLOCK * _BLOCKS:
        return list(range(0, size, _BLOCK))
    return [(size - _BLOCK) * step // (_BLOCKS - 1) for step in range(_BLOCKS)]
