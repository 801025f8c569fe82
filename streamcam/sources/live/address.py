"""Where a live source is read from, and how FFmpeg is to open it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from streamcam.urls import Redactor, is_secret, redacted_url

_DEVICE = re.compile(r"/dev/video\d+")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)

# Over UDP cameras lose packets, which smears pictures, and few firewalls let it through. Guessing
# the frame rate, which nobody needs, makes opening take 1.0 s instead of 0.3 s.
_RTSP = {"rtsp_transport": "tcp", "fpsprobesize": "0"}

_GENERATORS = ("lavfi", "demo")
"""What makes pictures as fast as it can: it has to be slowed down to real time, and may end."""


@dataclass(frozen=True, slots=True)
class Address:
    """A live source, as a user names it.

    Attributes:
        url: A URL, a device such as /dev/video0, `demo://street`, or whatever the format takes. It
            may hold a password.
        format: FFmpeg's name of the input format, None to find out.
        options: FFmpeg's options for it.
    """

    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The URL without credentials, for people and records."""
        return redacted_url(self.url)

    @property
    def generated(self) -> bool:
        """Whether it is made here instead of coming in: a synthetic camera, or a file."""
        return (self.format or self._kind) in _GENERATORS or Path(self.url).is_file()

    @property
    def input_format(self) -> str | None:
        """The name of the input format, where it is known."""
        if self.format is None and _DEVICE.fullmatch(self.url):
            return "v4l2"
        return self.format

    @property
    def input_options(self) -> dict[str, str]:
        """The options that it is opened with: the usual ones, and over them the user's."""
        usual = _RTSP if self._kind in ("rtsp", "rtsps") else {}
        return {**usual, **self.options}

    @property
    def secrets(self) -> set[str]:
        """What must not be seen of the options; the URL may hold more."""
        return {value for name, value in self.options.items() if is_secret(name)}

    def redactor(self) -> Redactor:
        """Return what removes this source's secrets from texts."""
        return Redactor(self.url, secrets=self.secrets)

    def as_order(self) -> dict[str, Any]:
        """Return the address as plain values, for another process."""
        return {"url": self.url, "format": self.format, "options": dict(self.options)}

    @classmethod
    def of_order(cls, order: Mapping[str, Any]) -> Self:
        """Return the address that `as_order` gave."""
        return cls(order["url"], order["format"], order["options"])

    @property
    def _kind(self) -> str | None:
        match = _SCHEME.match(self.url) if self.format is None else None
        return match[1].lower() if match else None
