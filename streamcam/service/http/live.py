"""Pictures of many cameras over one connection, as fast as a viewer takes them.

A viewer asks for what it has not seen; the answer holds the newest picture of every camera that has
one, or waits until there is one. So nobody is ever sent what is old already, a viewer that does not
ask costs nothing, and the page needs one of the six connections that browsers open to a server.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Request, Response

from streamcam.clock import Clock
from streamcam.service.status import Overview
from streamcam.sinks.preview import Preview, PreviewSink

LONGEST_WAIT = 10.0
"""Seconds until an answer without pictures: below what proxies take for a dead connection."""

LOOK = 0.05
"""Seconds between two looks whether there is something new: not seen as a delay, and what several
cameras show within it goes into one answer. Looking costs a camera's own thread nothing, which
waking a viewer would."""

MOST_CAMERAS = 64

_ENCODERS = 2
"""Threads that draw and encode, at 10 to 40 ms a picture of 1920x1080: enough for a dozen cameras
at five pictures a second; however many watch, the engine keeps the other cores."""

# What OpenAPI tells of the answers.
_LIVE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "Pictures, packed."}
}
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture."}
}


class Live:
    """The pictures' routes.

    Args:
        overview: Knows the cameras.
        clock: Tells the time.
    """

    def __init__(self, overview: Overview, clock: Clock) -> None:
        self._overview = overview
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
        seen = _seen(request.query_params.multi_items())
        sinks = await self._until_new(request, seen)
        previews = await asyncio.gather(*map(self._encoded, sinks.values()))
        packed = self._packed(dict(zip(sinks, previews, strict=True)))
        return Response(packed, media_type="application/octet-stream")

    async def picture(self, request: Request, name: str, after: int = 0) -> Response:
        """A camera's newest annotated picture; waits ten seconds for another than `after`."""
        if self._overview.preview(name) is None:
            raise HTTPException(404, "no such camera")
        sinks = await self._until_new(request, {name: after})
        if name not in sinks:
            raise HTTPException(404, "no newer picture")
        preview = await self._encoded(sinks[name])
        headers = {"x-picture-number": str(preview.number), "x-picture-age": self._age(preview)}
        return Response(preview.jpeg, media_type="image/jpeg", headers=headers)

    async def _until_new(
        self, request: Request, seen: Mapping[str, int]
    ) -> Mapping[str, PreviewSink]:
        """Wait for pictures, and return the cameras that have one."""
        deadline = self._clock.monotonic() + LONGEST_WAIT
        while True:
            sinks = self._asked(seen)
            new = {
                name: sink for name, sink in sinks.items() if _number(sink) not in (0, seen[name])
            }
            over = self._clock.monotonic() >= deadline or await request.is_disconnected()
            if new or over:
                return new
            await asyncio.sleep(LOOK)

    def _asked(self, names: Mapping[str, int]) -> dict[str, PreviewSink]:
        found = ((name, self._overview.preview(name)) for name in names)
        sinks = {name: sink for name, sink in found if sink is not None}
        for sink in sinks.values():
            sink.ask()
        return sinks

    async def _encoded(self, sink: PreviewSink) -> Preview:
        preview = await to_thread.run_sync(sink.preview, limiter=self._encoders)
        assert preview is not None, "a picture that was there does not go away"
        return preview

    def _packed(self, previews: Mapping[str, Preview]) -> bytes:
        heads = [
            {
                "camera": name,
                "number": preview.number,
                "age": float(self._age(preview)),
                "bytes": len(preview.jpeg),
            }
            for name, preview in previews.items()
        ]
        text = orjson.dumps(heads)
        jpegs = (preview.jpeg for preview in previews.values())
        return b"".join([len(text).to_bytes(4, "big"), text, *jpegs])

    def _age(self, preview: Preview) -> str:
        return f"{max(0.0, self._clock.monotonic() - preview.since):.3f}"


def _seen(query: Sequence[tuple[str, str]]) -> dict[str, int]:
    if not query or len(query) > MOST_CAMERAS:
        raise HTTPException(422, f"name 1 to {MOST_CAMERAS} cameras")
    try:
        return {name: int(number) for name, number in query}
    except ValueError:
        raise HTTPException(422, "a camera's last seen picture is a number") from None


def _number(sink: PreviewSink) -> int:
    """Return the newest picture's number; a lower one than before is a camera that began anew."""
    return 0 if sink.shown is None else sink.shown.number
