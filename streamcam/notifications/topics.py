"""The topics of a service at its broker; names that come from outside cannot break out of them."""

import re
import zlib

# Separators and wildcards of topics, blanks, and what no topic may hold.
_FORBIDDEN = re.compile(r"[+#/\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

# Home Assistant's identifiers.
_NOT_IDENTIFIER = re.compile(r"[^A-Za-z0-9_-]+")

_LONGEST_LEVEL = 100
"""Characters; a topic has 65,535 bytes at most."""

STATUS = "status"
"""The level below a camera that holds its state, where its classes have theirs."""


class Topics:
    """Names of topics below a prefix; those of Frigate where they mean the same.

    Args:
        prefix: The first level or levels.
        discovery: Where Home Assistant looks for devices; empty: nowhere.
    """

    def __init__(self, prefix: str, discovery: str) -> None:
        self.prefix = prefix
        self.available = f"{prefix}/available"
        self.events = f"{prefix}/events"
        self.commands = (f"{prefix}/+/enabled/set", f"{prefix}/+/recordings/set")
        self.counts = f"{prefix}/+/+"
        self.node = identifier(prefix)
        self._discovery = discovery

    def status(self, camera: str) -> str:
        return f"{self.prefix}/{camera}/{STATUS}"

    def switch(self, camera: str, switch: str, part: str) -> str:
        """Return the topic of a switch: its "state", or where it is "set"."""
        return f"{self.prefix}/{camera}/{switch}/{part}"

    def count(self, camera: str, level: str) -> str:
        return f"{self.prefix}/{camera}/{level}"

    def snapshot(self, camera: str, level: str) -> str:
        return f"{self.prefix}/{camera}/{level}/snapshot"

    def device(self, camera: str) -> str | None:
        """Return where Home Assistant finds a camera; None where it is not to."""
        if not self._discovery:
            return None
        return f"{self._discovery}/device/{self.node}/{identifier(camera)}/config"

    def levels(self, topic: str) -> list[str]:
        """Return a topic's levels below the prefix."""
        return topic.removeprefix(f"{self.prefix}/").split("/")


def level_of(label: str) -> str:
    """Return a class's level in topics: lower case, without what a topic may not hold.

    The level of a camera's state is never one of a class.
    """
    level = _FORBIDDEN.sub("_", label.casefold())[:_LONGEST_LEVEL] or "_"
    return f"{level}_" if level == STATUS else level


def identifier(name: str) -> str:
    """Return a name as an identifier of Home Assistant; different names have different ones."""
    changed = _NOT_IDENTIFIER.sub("_", name)
    return (
        name if changed == name else f"{changed}_{zlib.crc32(name.encode('utf-8', 'replace')):08x}"
    )
