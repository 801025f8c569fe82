"""The right to write a source's results under a name: one job has it, among all processes."""

import errno
import fcntl
import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from streamcam.files import PART
from streamcam.media_errors import writing
from streamcam.sinks.manifest import SourceIdentity


class ResultClaim:
    """Claims the results that a manifest is the last one of.

    The claim is the manifest's `.part` file, locked (`flock`) and naming the source. To write the
    manifest is to rename that file; the lock ends with the process, however it ends, so that what
    a killed process claimed is free. On a file system without locks nobody is kept out.
    """

    def __init__(self, manifest: Path, source: SourceIdentity) -> None:
        self._part = manifest.with_name(manifest.name + PART)
        self._source = source
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the claim; return False where another job has it.

        Raises:
            SinkError: The file cannot be written.
        """
        with writing(str(self._part)):
            self._part.parent.mkdir(parents=True, exist_ok=True)
            while True:
                descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                with ExitStack() as stack:
                    stack.callback(os.close, descriptor)
                    if not _lock(descriptor):
                        return False
                    # The job that had the lock may have renamed or removed the file.
                    if self._is_in_place(descriptor):
                        self._describe(descriptor)
                        self._descriptor = descriptor
                        stack.pop_all()
                        return True

    def holder(self) -> SourceIdentity | None:
        """Return the source of the job that has the claim; None where that is not written yet."""
        try:
            return SourceIdentity(**json.loads(self._part.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def release(self) -> None:
        """Give the claim up; idempotent. The file is removed if it did not become the manifest."""
        if self._descriptor is None:
            return
        if self._is_in_place(self._descriptor):
            with suppress(OSError):
                self._part.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _describe(self, descriptor: int) -> None:
        source = {"location": self._source.location, "fingerprint": self._source.fingerprint}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(source).encode(), 0)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._part.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN)
    return True
