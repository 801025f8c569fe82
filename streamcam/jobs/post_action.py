"""What happens to a source file once it is explained: kept, moved, or deleted."""

import errno
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from streamcam.files import PartFile
from streamcam.jobs.job_record import JobRecord
from streamcam.jobs.watched_files import WatchedFolder, identity_of

_MOVE = "move:"


@dataclass(frozen=True, slots=True)
class PostAction:
    """What to do with the sources of jobs that are done.

    Attributes:
        delete: Whether they are deleted.
        folder: Where they are moved, None for nowhere.
    """

    delete: bool = False
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "PostAction":
        """Read `keep`, `delete` or `move:DIR`."""
        folder = Path(text.removeprefix(_MOVE)).absolute() if text.startswith(_MOVE) else None
        return cls(delete=text == "delete", folder=folder)

    @property
    def clears_sources(self) -> bool:
        """Whether sources leave their folder."""
        return self.delete or self.folder is not None

    def apply(self, job: JobRecord, folders: Sequence[WatchedFolder]) -> None:
        """Move or delete a job's source, unless it is gone or has other content by now.

        Raises:
            OSError: That is not possible now.
            SinkError: It cannot be written to another disk.
        """
        # Another watcher, or a person, may do the same at any moment.
        with suppress(FileNotFoundError):
            now = identity_of(job.path)
            if job.identity is None or now.fingerprint != job.identity.fingerprint:
                return
            if self.delete:
                job.path.unlink()
            elif self.folder is not None:
                _move(job.path, self.folder / _relative_path(job, folders))


def _relative_path(job: JobRecord, folders: Sequence[WatchedFolder]) -> Path:
    subfolder = next((folder.subfolder for folder in folders if folder.path == job.root), "")
    return Path(subfolder) / job.path.relative_to(job.root)


def _move(source: Path, target: Path) -> None:
    """Move a file, replacing nothing; on another disk it appears there whole or not at all."""
    numbered = (target.with_stem(f"{target.stem}~{number}") for number in count(2))
    free = next(path for path in chain((target,), numbered) if not os.path.lexists(path))
    free.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(free)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, free)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    file = PartFile(target)
    try:
        shutil.copy2(source, file.prepare())
        file.publish()
    except BaseException:
        file.discard()
        raise
