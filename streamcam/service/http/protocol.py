"""Connections that cannot be held by clients who are slow on purpose, or many."""

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds that a client has for a whole request, and between two. Browsers open spare connections
and open them anew when they need them; a request of a few hundred bytes takes one round trip, three
seconds on a network that loses half its packets."""

STALL = 30.0
"""Seconds in which a client has to read the 64 kB that wait for it. A browser whose video is paused
stops reading too; it asks anew from where it stopped."""

LONGEST_HEAD = 16 * 1024
"""Bytes of a request's head: what browsers and proxies stay well below, and others refuse from."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with deadlines, and with room for so many connections.

    A newcomer takes the place of whoever has been silent longest, so that silence costs nobody
    else: a connection is only ever ended while it asks for nothing, or does not read its answer.

    Args:
        room: The most connections.
        arguments: What uvicorn gives its protocols.
    """

    def __init__(self, room: int, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**arguments)
        self._room = room
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self.silent_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; make room if there is none."""
        super().connection_made(transport)
        self._await_request()
        others = self._others()
        if len(others) >= self._room:
            silent = [other for other in others if other.silent]
            oldest = min(silent, key=lambda other: other.silent_since, default=self)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        _cancel(self._deadline)
        _cancel(self._stalled)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Stop the clock when a request is complete."""
        super().handle_events()
        if not self.silent:
            _cancel(self._deadline)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._await_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Give the client a while to read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads."""
        _cancel(self._stalled)
        super().resume_writing()

    def shutdown(self) -> None:
        """End at once: the service does not wait for those who watch it."""
        self.transport.abort()

    @property
    def silent(self) -> bool:
        """Whether the client asks for nothing, or has not asked to the end."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _await_request(self) -> None:
        self.silent_since = self.loop.time()
        _cancel(self._deadline)
        self._deadline = self.loop.call_later(PATIENCE, self.transport.abort)

    def _others(self) -> list["BoundedProtocol"]:
        """Return the other connections but for those that are ending."""
        return [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol)
            and other is not self
            and not other.transport.is_closing()
        ]


def bounded(room: int) -> type[asyncio.Protocol]:
    """Return what uvicorn makes its connections with.

    Args:
        room: The most connections at a time.
    """
    # uvicorn only ever calls it.
    return partial(BoundedProtocol, room)  # type: ignore[return-value]


def _cancel(handle: asyncio.TimerHandle | None) -> None:
    if handle is not None:
        handle.cancel()
