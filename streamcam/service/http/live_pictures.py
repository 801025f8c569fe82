"""Live pictures of many cameras over one connection, as fast as the client reads them.

The client names the pictures that it has; the response holds those of the cameras with a newer one,
or waits for one (long polling). So no old picture is ever sent, a client that does not ask
costs nothing, and the page needs one of the six connections that browsers open to a server.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Request, Response

from streamcam.clock import Clock
from streamcam.service.service_status import ServiceStatus
from streamcam.sinks.pictures import Preview, PreviewSink

MAX_WAIT_SECONDS = 10.0
"""Until a response without pictures: less than what proxies take for a dead connection."""

POLL_SECONDS = 0.05
"""Between checks for newer pictures: not visible as a delay, and the pictures of several cameras go
into one response. Polling costs a camera's own thread nothing, which waking a client would."""

MAX_CAMERAS = 64

_ENCODERS = 2
"""Threads that draw and encode, in 10 to 40 ms a picture of 1920x1080: enough for a dozen cameras
at five pictures a second. Whatever the number of clients, the engine keeps the other cores."""

# The responses for OpenAPI.
_LIVE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "Pictures, packed."}
}
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture."}
}


class PictureRoutes:
    """The routes of live pictures."""

    def __init__(self, service: ServiceStatus, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._encoders = CapacityLimiter(_ENCODERS)
        self.router = APIRouter(tags=["cameras"])
        self.router.get("/api/live", response_class=Response, responses=_LIVE)(self.live)
        self.router.get("/api/cameras/{name}/picture", response_class=Response, responses=_JPEG)(
            self.picture
        )

    async def live(self, request: Request) -> Response:
        """The newest pictures of several cameras, as soon as there is one.

        The query names the cameras, each with the number of the picture seen last:
        `?front=12&yard=0`. The answer begins with the length of a JSON text, four bytes big-endian,
        and that text: a list of `{"camera", "number", "age", "bytes"}`; the JPEGs follow in its
        order. It is empty when nothing new came within ten seconds.
        """
        known = _known_numbers(request.query_params.multi_items())
        sinks = await self._until_new(request, known)
        previews = await asyncio.gather(*map(self._encoded, sinks.values()))
        packed = self._packed(dict(zip(sinks, previews, strict=True)))
        return Response(packed, media_type="application/octet-stream")

    async def picture(self, request: Request, name: str, after: int = 0) -> Response:
        """A camera's newest annotated picture; waits ten seconds for another than `after`."""
        if self._service.preview(name) is None:
            raise HTTPException(404, "no such camera")
        sinks = await self._until_new(request, {name: after})
        if name not in sinks:
            raise HTTPException(404, "no newer picture")
        preview = await self._encoded(sinks[name])
        headers = {"x-picture-number": str(preview.number), "x-picture-age": self._age(preview)}
        return Response(preview.jpeg, media_type="image/jpeg", headers=headers)

    async def _until_new(
        self, request: Request, known: Mapping[str, int]
    ) -> Mapping[str, PreviewSink]:
        """Wait for newer pictures; return the sinks of the cameras that have one."""
        deadline = self._clock.monotonic() + MAX_WAIT_SECONDS
        while True:
            sinks = self._requested(known)
            new = {
                name: sink for name, sink in sinks.items() if _number(sink) not in (0, known[name])
            }
            timed_out = self._clock.monotonic() >= deadline or await request.is_disconnected()
            if new or timed_out:
                return new
            await asyncio.sleep(POLL_SECONDS)

    def _requested(self, names: Mapping[str, int]) -> dict[str, PreviewSink]:
        found = ((name, self._service.preview(name)) for name in names)
        return {name: sink for name, sink in found if sink is not None}

    async def _encoded(self, sink: PreviewSink) -> Preview:
        preview = await to_thread.run_sync(sink.preview, limiter=self._encoders)
        assert preview is not None, "a picture is replaced, never removed"
        return preview

    def _packed(self, previews: Mapping[str, Preview]) -> bytes:
        index = [
            {
                "camera": name,
                "number": preview.number,
                "age": float(self._age(preview)),
                "bytes": len(preview.jpeg),
            }
            for name, preview in previews.items()
        ]
        text = orjson.dumps(index)
        jpegs = (preview.jpeg for preview in previews.values())
        return b"".join([len(text).to_bytes(4, "big"), text, *jpegs])

    def _age(self, preview: Preview) -> str:
        return f"{max(0.0, self._clock.monotonic() - preview.since):.3f}"


def _known_numbers(query: Sequence[tuple[str, str]]) -> dict[str, int]:
    if not query or len(query) > MAX_CAMERAS:
        raise HTTPException(422, f"name 1 to {MAX_CAMERAS} cameras")
    try:
        return {name: int(number) for name, number in query}
    except ValueError:
        raise HTTPException(422, "a camera's last seen picture is a number") from None


def _number(sink: PreviewSink) -> int:
    """Return the newest picture's number, 0 for none; it restarts with the camera."""
    return 0 if sink.latest is None else sink.latest.number
