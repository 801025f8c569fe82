"""The demo scene as a source: a drawn street, its frames made when they are asked for."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from urllib.parse import parse_qsl, urlsplit

from streamcam.clock import Clock
from streamcam.demo import DemoScene
from streamcam.errors import SourceError
from streamcam.sources.base import Selector
from streamcam.types import Frame, SourceInfo

_BOUNDS: dict[str, tuple[Fraction, Fraction]] = {
    "seconds": (Fraction(1, 100), Fraction(86400)),
    "seed": (Fraction(0), Fraction(2**32 - 1)),
    "fps": (Fraction(1, 10), Fraction(240)),
    "width": (Fraction(160), Fraction(3840)),
    "height": (Fraction(90), Fraction(2160)),
}
_WHOLE = ("seed", "width", "height")
_HINT = "Write it like demo://street?seconds=10&seed=1&fps=25&width=768&height=432."


@dataclass(frozen=True)
class _Options:
    seconds: Fraction = Fraction(10)
    seed: Fraction = Fraction(1)
    fps: Fraction = Fraction(25)
    width: Fraction = Fraction(768)
    height: Fraction = Fraction(432)


class DemoSource:
    """A drawn street, the same on every run, with its true boxes.

    Args:
        url: `demo://street`, with options `seconds` (10), `seed` (1), `fps` (25), `width` (768)
            and `height` (432).

    Attributes:
        street: The scene; `street.truth(frame.time)` tells what is in a frame.

    Raises:
        SourceError: The URL names no scene, or its options are unknown or out of range.
    """

    def __init__(self, url: str) -> None:
        options = _parsed(url)
        self.street = DemoScene(int(options.seed), int(options.width), int(options.height))
        self._count = max(1, round(options.seconds * options.fps))
        self._step = 1 / options.fps
        self._decoded = 0
        self._interrupted = threading.Event()
        self._clock = Clock()
        self._info = SourceInfo(
            id=url,
            width=self.street.width,
            height=self.street.height,
            time_base=self._step,
            frame_rate=options.fps,
            duration=float(self._count * self._step),
            frame_count=self._count,
        )

    @property
    def info(self) -> SourceInfo:
        """What is known of the scene."""
        return self._info

    @property
    def decoded(self) -> int:
        """How many frames have passed so far."""
        return self._decoded

    @property
    def corrupt(self) -> int:
        """Always 0: nothing can break here."""
        return 0

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames; with `every` the others since `selector.start` too."""
        fresh = True
        for index in range(self._count):
            if self._interrupted.is_set() or selector.next_due == inf:
                return
            time = float(index * self._step)
            if time < selector.start:
                continue
            self._decoded += 1
            sampled = selector.wants(index, time)
            if sampled or every:
                yield self._frame(index, time, sampled=sampled, discontinuity=fresh)
                fresh = False

    def interrupt(self) -> None:
        """Make `frames` end before its next frame, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _frame(self, index: int, time: float, *, sampled: bool, discontinuity: bool) -> Frame:
        return Frame(
            source=self._info.id,
            index=index,
            pts=index,
            time_base=self._step,
            time=time,
            picture=self.street.picture(time),
            sampled=sampled,
            discontinuity=discontinuity,
            arrival=self._clock.monotonic(),
        )


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
        raise SourceError(f"{url}: {key} is no number: {text!r}", hint=_HINT) from None
    if not low <= value <= high or (key in _WHOLE and value.denominator != 1):
        kind = "a whole number" if key in _WHOLE else "a number"
        raise SourceError(
            f"{url}: {key} must be {kind} from {float(low):g} to {float(high):.12g}", hint=_HINT
        )
    return value
