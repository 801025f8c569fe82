"""HTTP connections with deadlines and a limit, against clients that are slow on purpose or many."""

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_SECONDS = 10.0
"""For a whole request, and between two. Browsers open spare connections, and reopen them when they
need them; a request of a few hundred bytes takes one round trip, three seconds on a network that
loses half its packets."""

STALLED_SECONDS = 30.0
"""In which a client has to read the 64 kB that wait for it. A browser whose video is paused stops
reading too; it asks again from where it stopped."""

MAX_HEAD_BYTES = 16 * 1024
"""Of a request's head: well above what browsers and proxies send, and what others refuse."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with deadlines, and with a maximum number of connections.

    A new connection replaces the one that has been idle longest, so that idle clients do not lock
    out others: a connection is only ended while it has no request, or does not read its response.
    """

    def __init__(self, max_connections: int, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**arguments)
        self._max_connections = max_connections
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None
        self.idle_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        others = self._others()
        if len(others) >= self._max_connections:
            idle = [other for other in others if other.idle]
            oldest = min(idle, key=lambda other: other.idle_since, default=self)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._deadline)
        _cancel(self._read_deadline)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if not self.idle:
            _cancel(self._deadline)

    def on_response_complete(self) -> None:
        self._await_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_deadline = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._read_deadline)
        super().resume_writing()

    def shutdown(self) -> None:
        """End at once: the service does not wait for its clients."""
        self.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether the client has sent no request, or not all of one."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _await_request(self) -> None:
        self.idle_since = self.loop.time()
        _cancel(self._deadline)
        self._deadline = self.loop.call_later(IDLE_SECONDS, self.transport.abort)

    def _others(self) -> list["BoundedProtocol"]:
        """Return the other connections that are not closing."""
        return [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol)
            and other is not self
            and not other.transport.is_closing()
        ]


def bounded(max_connections: int) -> type[asyncio.Protocol]:
    """Return the factory of uvicorn's connections."""
    # uvicorn only ever calls it.
    return partial(BoundedProtocol, max_connections)  # type: ignore[return-value]


def _cancel(handle: asyncio.TimerHandle | None) -> None:
    if handle is not None:
        handle.cancel()
