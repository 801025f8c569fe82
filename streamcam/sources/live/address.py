"""The address of a live source, and how FFmpeg opens it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from streamcam.urls import Redactor, is_secret, redacted_url, scheme_of

_DEVICE = re.compile(r"/dev/video\d+")

# UDP loses packets, which smears pictures, and few firewalls let it through. Guessing the frame
# rate, which is not needed, makes opening take 1.0 s instead of 0.3 s.
_RTSP = {"rtsp_transport": "tcp", "fpsprobesize": "0"}


@dataclass(frozen=True, slots=True)
class Address:
    """A live source as configured.

    Attributes:
        url: A URL, a device such as /dev/video0, `demo://street`, or whatever the format takes. It
            may hold a password.
        format: FFmpeg's name of the input format, None to detect it.
        options: FFmpeg's options for it.
    """

    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def redacted(self) -> str:
        """The URL without credentials, for people and records."""
        return redacted_url(self.url)

    @property
    def generated(self) -> bool:
        """Whether FFmpeg reads it as fast as it can: a synthetic source or a file."""
        return self.format == "lavfi" or Path(self.url).is_file()

    @property
    def scheme(self) -> str | None:
        """The URL's scheme in lower case, None for devices and where a format is given."""
        return scheme_of(self.url) if self.format is None else None

    @property
    def input_format(self) -> str | None:
        if self.format is None and _DEVICE.fullmatch(self.url):
            return "v4l2"
        return self.format

    @property
    def input_options(self) -> dict[str, str]:
        defaults = _RTSP if self.scheme in ("rtsp", "rtsps") else {}
        return {**defaults, **self.options}

    @property
    def secrets(self) -> set[str]:
        """Values of options that must not be shown; the URL may hold more."""
        return {value for name, value in self.options.items() if is_secret(name)}

    def redactor(self) -> Redactor:
        return Redactor(self.url, secrets=self.secrets)

    def to_message(self) -> dict[str, Any]:
        """Return the address as plain values, for another process."""
        return {"url": self.url, "format": self.format, "options": dict(self.options)}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        return cls(message["url"], message["format"], message["options"])
