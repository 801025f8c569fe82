"""Notifies systemd of the service's state: ready, reloading, alive, stopping.

The protocol is one datagram of `NAME=value` lines to the socket in `NOTIFY_SOCKET`, see
sd_notify(3). Without that variable nothing is sent.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Self

from streamcam.clock import Clock

_log = logging.getLogger(__name__)

# The socket's queue is full only while systemd itself is busy, e.g. at its own daemon-reload, which
# takes it well under a second. The watchdog is fed from the thread that waits here.
_SEND_SECONDS = 5.0


class Notifier:
    """Sends messages to the service manager, if there is one; from any thread.

    No method raises: the service works on when its manager does not listen.

    Args:
        address: The manager's socket: a path, or "@" and an abstract name. None: nothing is sent.
        watchdog_interval: Seconds, see the attribute.
        clock: Source of the time of reloads.

    Attributes:
        watchdog_interval: Seconds between calls of `watchdog`: half the time after which the
            manager kills the service. None if the manager has no watchdog.
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
        """Read the environment that the manager sets."""
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            _log.warning("NOTIFY_SOCKET is not an address that can be notified: %s", address)
            address = None
        return cls(address, watchdog_interval=_watchdog_interval(environment))

    def ready(self, status: str) -> None:
        """Report that the service has started, or has reloaded."""
        self._send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """Set the one-line status that `systemctl status` shows."""
        self._send(_status(text))

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that the configuration is read again; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={_microseconds(self._clock.monotonic())}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this many seconds from now on to start, or to stop."""
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
    """Return half the manager's timeout in seconds, as sd_watchdog_enabled(3) advises."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        # Set for the process that started this one.
        return None
    timeout = environment.get("WATCHDOG_USEC", "")
    return int(timeout) / 2_000_000 if timeout.isdecimal() and int(timeout) else None
