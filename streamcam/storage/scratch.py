"""Where results are made before they are uploaded: a folder of the process on the local disk."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.files import FolderLock
from streamcam.media_errors import writing

_PREFIX = "streamcam-scratch-"


@functools.cache
def scratch_folder() -> Path:
    """Return the process's own folder for results on their way, below `TMPDIR` (`/tmp`).

    It is removed when the process ends. What killed processes of this user left there is removed
    here: their locks ended with them.

    Raises:
        SinkError: It cannot be made.
    """
    above = Path(tempfile.gettempdir())
    with writing(str(above)):
        _remove_abandoned(above)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    lock = FolderLock(folder)
    lock.acquire()
    atexit.register(_remove, folder, lock, os.getpid())
    return folder


def _remove_abandoned(above: Path) -> None:
    for folder in above.glob(f"{_PREFIX}*"):
        if folder.stat().st_uid != os.getuid():
            continue
        lock = FolderLock(folder)
        try:
            lock.acquire()
        except SinkError:
            continue  # in use
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _remove(folder: Path, lock: FolderLock, process: int) -> None:
    if os.getpid() == process:  # not a fork of it
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
