"""Changes the regions of cameras in the configuration file: looked at first, then saved."""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from streamcam.cameras.plan import CameraPlan
from streamcam.config import Settings
from streamcam.config.camera_edit import Values, camera_values, edited
from streamcam.config.config_file import ConfigFile, changed_meanwhile
from streamcam.escapes import printable
from streamcam.urls import HIDDEN, Redactor, is_secret

KEYS = ("zones", "lines", "ignore")
"""The keys of a camera's table that hold regions."""

_ASSIGNMENT = re.compile(r"""([\w"'.-]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s,}\]]+)""")


@dataclass(frozen=True, slots=True)
class RegionChange:
    """What a change of a camera's regions does to the file.

    Attributes:
        revision: Of the file that it changes.
        diff: Lines of the unified diff, without credentials; none where nothing changes.
        before, after: The whole text.
    """

    revision: str
    diff: Sequence[str]
    before: str
    after: str


class RegionEditor:
    """Changes regions in the configuration file of a running service, from any thread.

    Args:
        check: Returns settings that a service can run with, or raises.
        reload: Requests that the service reads its configuration again.
    """

    def __init__(
        self,
        file: ConfigFile,
        check: Callable[[Settings], Settings],
        reload: Callable[[], None],
    ) -> None:
        self._file = file
        self._check = check
        self._reload = reload
        self._lock = threading.Lock()

    def regions(self, camera: str) -> Mapping[str, Any]:
        """Return a camera's regions by key as they stand in the file.

        Raises:
            UsageError: There is no file, or it does not name the camera.
            ConfigError: It cannot be read, or what it says cannot be used.
            SinkError: It cannot be written.
        """
        return camera_values(self._valid_text(), camera, KEYS)

    def preview(self, camera: str, regions: Values) -> RegionChange:
        """Return what a change would do; raises as `regions` does, and where the result is bad."""
        before = self._valid_text()
        after = edited(before, camera, regions)
        settings = self._check(self._file.settings_of(after))
        return RegionChange(_revision(before), _diff(before, after, settings), before, after)

    def save(self, camera: str, regions: Values, revision: str) -> None:
        """Save a change that was looked at, and request that it comes into force.

        Raises:
            UsageError: The file is no longer of that revision.
            StreamcamError: As `preview`.
        """
        with self._lock:
            change = self.preview(camera, regions)
            if change.revision != revision:
                assert self._file.path is not None
                raise changed_meanwhile(self._file.path)
            self._file.replace(change.before, change.after)
        self._reload()

    def _valid_text(self) -> str:
        self._file.check_writable()
        text = self._file.read()
        self._file.settings_of(text)
        return text


def _revision(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _diff(before: str, after: str, settings: Settings) -> list[str]:
    hide = _redactor(settings)
    lines = unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    return [printable(hide(line)) for line in lines]


def _redactor(settings: Settings) -> Callable[[str], str]:
    """Return what hides the credentials in a line of the file: those of URLs and by their name."""
    plans = [CameraPlan.of(camera, settings) for camera in settings.camera]
    urls = [*(plan.address.url for plan in plans), *(plan.publish or "" for plan in plans)]
    redact = Redactor(*urls, secrets={each for plan in plans for each in plan.address.secrets})
    return lambda line: _ASSIGNMENT.sub(_hidden_value, redact(line))


def _hidden_value(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{HIDDEN}" if is_secret(match[1]) else match[0]
