"""The configuration file of a running service: read, checked, and replaced as a whole."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from streamcam.config.fields import Tables
from streamcam.config.load import load_settings, read_text
from streamcam.config.schema import Settings
from streamcam.errors import SinkError, UsageError
from streamcam.files import PartFile


class ConfigFile:
    """A configuration file with the environment and the flags that lie over it.

    Args:
        path: None where there is no file, only environment and flags.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str], flags: Tables) -> None:
        self.path = path
        self._environment = environment
        self._flags = flags

    def load(self) -> Settings:
        """Return the settings in the file now; raises as `load_settings` does."""
        return load_settings(self.path, self._environment, self._flags)

    def settings_of(self, text: str) -> Settings:
        """Return the settings that the file would give with this text; raises as `load` does."""
        return load_settings(self.path, self._environment, self._flags, text)

    def read(self) -> str:
        """Return the file's text, line ends as they are.

        Raises:
            UsageError: There is no file.
            ConfigError: It cannot be read.
        """
        return read_text(self._existing())

    def check_writable(self) -> None:
        """Raise SinkError where `replace` could not work, so that nobody edits in vain."""
        path = self._existing().resolve()
        if not os.access(path, os.W_OK):
            raise _unwritable(path, "this user may not change it")
        if os.geteuid() not in (0, path.stat().st_uid):
            raise _unwritable(path, "it belongs to another user")
        if not os.access(path.parent, os.W_OK):
            raise _unwritable(path, f"this user may not write to {path.parent}")

    def replace(self, before: str, after: str) -> None:
        """Replace the text by another, at once and durably; owner and mode stay.

        Raises:
            UsageError: The text is no longer `before`.
            SinkError: The file cannot be written.
        """
        # What a symbolic link leads to is replaced, not the link.
        path = self._existing().resolve()
        self.check_writable()
        if self.read() != before:
            raise changed_meanwhile(path)
        file = PartFile(path)
        file.discard()
        try:
            _write_like(path, file.part, after.encode())
            file.publish()
        except OSError as error:
            raise _unwritable(path, (error.strerror or str(error)).lower()) from error
        finally:
            file.discard()

    def _existing(self) -> Path:
        if self.path is None:
            raise UsageError(
                "there is no configuration file", hint="Start streamcam with --config FILE."
            )
        return self.path


def changed_meanwhile(path: Path) -> UsageError:
    return UsageError(f"{path} was changed meanwhile", hint="Look at the changes again.")


def _write_like(model: Path, path: Path, content: bytes) -> None:
    """Write a new file that has the owner and the mode of another."""
    like = model.stat()
    # It may hold passwords: nobody else may read it, not even for a moment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        file.write(content)


def _unwritable(path: Path, reason: str) -> SinkError:
    return SinkError(
        f"{path} cannot be written: {reason}",
        hint="Let the user that runs streamcam own the file and its folder, or edit it by hand.",
    )
