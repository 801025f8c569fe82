"""The demo scene as a source: read to its end like a file, or captured like a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from streamcam.demo.scene import DemoScene
from streamcam.errors import SourceError
from streamcam.sources.base import CapturedFrame, DecodedFrame, FiniteSource, Selector, sleep_until
from streamcam.sources.limits import DEFAULT_LIMITS, Limits
from streamcam.types import SourceInfo, TrueObject

if TYPE_CHECKING:
    from streamcam.sources.live.capture_connection import Address

_BOUNDS: dict[str, tuple[Fraction, Fraction]] = {
    "seconds": (Fraction(1, 100), Fraction(86400)),
    "seed": (Fraction(0), Fraction(2**32 - 1)),
    "fps": (Fraction(1, 10), Fraction(240)),
    "width": (Fraction(160), Fraction(3840)),
    "height": (Fraction(90), Fraction(2160)),
}
_INTEGERS = ("seed", "width", "height")
_HINT = "Write it like demo://street?seconds=10&seed=1&fps=25&width=768&height=432."


@dataclass(frozen=True)
class _Options:
    seconds: Fraction = Fraction(10)
    seed: Fraction = Fraction(1)
    fps: Fraction = Fraction(25)
    width: Fraction = Fraction(768)
    height: Fraction = Fraction(432)


class DemoSource(FiniteSource):
    """A drawn street, the same on every run, with its true boxes.

    Args:
        url: `demo://street`, with options `seconds` (10), `seed` (1), `fps` (25), `width` (768)
            and `height` (432).

    Attributes:
        scene: What is drawn.

    Raises:
        SourceError: The URL names no scene, or its options are unknown or out of range.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        options = _parsed(url)
        self.scene = DemoScene(int(options.seed), int(options.width), int(options.height))
        self._count = max(1, round(options.seconds * options.fps))
        self.info = SourceInfo(
            id=url,
            width=self.scene.width,
            height=self.scene.height,
            time_base=1 / options.fps,
            frame_rate=options.fps,
            duration=float(self._count / options.fps),
            frame_count=self._count,
        )

    def decode(self, selector: Selector, *, every: bool) -> Iterator[DecodedFrame]:  # noqa: ARG002
        step = self.info.time_base
        for index in range(self._count):
            seconds = float(index * step)
            if seconds >= selector.start:
                picture = partial(self.scene.picture, seconds)
                yield DecodedFrame(index, index, step, seconds, picture)

    def truth(self, time: float) -> Sequence[TrueObject]:
        return self.scene.truth(time)


class DemoCapture:
    """The demo scene as a camera would send it: in real time and without end.

    Args:
        address: `demo://street`, with its options; without `seconds` it never ends.
        origin: Monotonic seconds of the source's first frame, None where this one begins it.

    Raises:
        SourceError: The URL names no scene, or a larger one than the limits allow.
    """

    codec = "drawn"
    generated = True
    corrupt = 0

    def __init__(
        self,
        address: Address,
        name: str,
        origin: float | None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        source = DemoSource(address.url)
        limits.check_frame(source.info.width, source.info.height, name)
        self._scene = source.scene
        self.rate = source.info.frame_rate
        self._step = source.info.time_base
        self._count = source.info.frame_count if "seconds=" in address.url else None
        self._origin = origin

    def frames(self) -> Iterator[CapturedFrame | None]:
        begun = time.monotonic()
        offset = 0.0 if self._origin is None else begun - self._origin
        index = 0
        while self._count is None or index < self._count:
            seconds = float(index * self._step)
            yield from sleep_until(begun + seconds)
            now = time.monotonic()
            picture = partial(self._scene.picture, seconds)
            yield CapturedFrame(index, self._step, offset + seconds, now, now, picture)
            # Drawing may take longer than a step: late frames are left out, as a camera would.
            index = max(index + 1, int((time.monotonic() - begun) / float(self._step)))

    def close(self) -> None:
        pass


def _parsed(url: str) -> _Options:
    parts = urlsplit(url)
    if parts.scheme != "demo" or parts.netloc != "street" or parts.path not in ("", "/"):
        raise SourceError(f"{url}: no such demo scene", hint=_HINT)
    options: dict[str, Fraction] = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in _BOUNDS or key in options:
            fault = "given twice" if key in options else "unknown"
            raise SourceError(f"{url}: option {key!r} is {fault}", hint=_HINT)
        options[key] = _number(url, key, text)
    return _Options(**options)


def _number(url: str, key: str, text: str) -> Fraction:
    low, high = _BOUNDS[key]
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise SourceError(f"{url}: {key} is not a number: {text!r}", hint=_HINT) from None
    if not low <= value <= high or (key in _INTEGERS and value.denominator != 1):
        kind = "a whole number" if key in _INTEGERS else "a number"
        raise SourceError(
            f"{url}: {key} must be {kind} from {float(low):g} to {float(high):.12g}", hint=_HINT
        )
    return value
