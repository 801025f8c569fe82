"""Tells systemd how the service is: ready, reloading, alive, stopping.

The protocol is one datagram of `NAME=value` lines to the socket in `NOTIFY_SOCKET`, see
sd_notify(3). Without that variable nothing is sent and nobody has to ask.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Self

from streamcam.clock import Clock

_log = logging.getLogger(__name__)

# The socket's queue is full only while systemd itself is busy, e.g. at its own daemon-reload, which
# takes it well under a second. Whoever waits here feeds the watchdog, so never for long.
_SEND_SECONDS = 5.0


class Notifier:
    """Speaks to the service manager; says nothing where there is none.

    No method raises: a service works on when its manager does not listen. Any thread may call.

    Args:
        address: The manager's socket: a path, or "@" and an abstract name. None sends nothing.
        watchdog_interval: Seconds, see the attribute.
        clock: Stamps reloads.

    Attributes:
        watchdog_interval: Seconds after which `watchdog` wants to be called again: half of what the
            manager waits for before it kills the service. None where it does not wait for that.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        watchdog_interval: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._clock = clock or Clock()
        self.watchdog_interval = watchdog_interval

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Find the manager as it wants to be found."""
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            _log.warning("NOTIFY_SOCKET is no address that can be notified: %s", address)
            address = None
        return cls(address, watchdog_interval=_watchdog_interval(environment))

    def ready(self, status: str) -> None:
        """Say that the service works: it has started, or has reloaded."""
        self._send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """Say in one line how the service is; `systemctl status` shows it."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """Say that the service is alive."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={_microseconds(self._clock.monotonic())}")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for so many seconds from now on to get started, or stopped."""
        self._send(f"EXTEND_TIMEOUT_USEC={_microseconds(seconds)}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        # A leading NUL makes an abstract name.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(_SEND_SECONDS)
                channel.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            _log.debug("the service manager does not listen: %s", error)


def _status(text: str) -> str:
    # A line break would end the value.
    return f"STATUS={' '.join(text.split())}"


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _watchdog_interval(environment: Mapping[str, str]) -> float | None:
    """Return half the manager's patience in seconds, as sd_watchdog_enabled(3) advises."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        # Meant for the process that started this one.
        return None
    patience = environment.get("WATCHDOG_USEC", "")
    return int(patience) / 2_000_000 if patience.isdecimal() and int(patience) else None
