"""What a process leaves behind when native code crashes it."""

import faulthandler
import hashlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from streamcam.jobs.owner import is_gone

_PREFIX, _ENDING = "crash-", ".log"


class CrashLog:
    """Has the interpreter note a fatal signal in a file; a context manager.

    A killed process leaves only its name, a crashed one the signal's too, and a traceback: that
    tells a decoder that a file has crashed from an operator who was in a hurry.

    Args:
        folder: Where the notes lie; it exists.
        owner: This process's name in the ledger.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._path = _path(folder, owner)
        self._owner = owner

    def __enter__(self) -> Self:
        self._file = self._path.open("w", encoding="utf-8")
        print(self._owner, file=self._file, flush=True)
        faulthandler.enable(self._file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        faulthandler.disable()
        self._file.close()
        self._path.unlink(missing_ok=True)


def crash_of(folder: Path, owner: str) -> str | None:
    """Return what crashed a process, e.g. "Segmentation fault"; None if nothing did."""
    _, trace = _read(_path(folder, owner))
    first = trace.strip().partition("\n")[0]
    return first.removeprefix("Fatal Python error: ") or None


def sweep_crashes(folder: Path) -> None:
    """Remove the notes of processes that have ended."""
    for path in folder.glob(f"{_PREFIX}*{_ENDING}"):
        owner, _ = _read(path)
        if not owner or is_gone(owner):
            with suppress(OSError):
                path.unlink()


def _read(path: Path) -> tuple[str, str]:
    try:
        owner, _, trace = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    except OSError:
        return "", ""
    return owner, trace


def _path(folder: Path, owner: str) -> Path:
    digest = hashlib.sha256(owner.encode()).hexdigest()[:16]
    return folder / f"{_PREFIX}{digest}{_ENDING}"
