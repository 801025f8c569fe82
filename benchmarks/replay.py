"""A camera whose pictures are decoded already: in place of a reader's process, it costs nothing."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from streamcam.sources.base import Selector
from streamcam.sources.live import LiveStatus
from streamcam.types import CameraState, Frame, Picture, SourceInfo


class ReplayedSource:
    """Shows the same pictures again and again, at a camera's pace; what a `LiveSource` is to users.

    Its thread wakes for the wanted frames only, since a camera's other frames do not leave its
    reader's process. A frame arrives when it is due, however late its thread is scheduled.

    Args:
        name: Its id.
        pictures: What it shows.
        rate: Frames a second.
        delay: Seconds before the first frame.
    """

    corrupt = 0

    def __init__(
        self, name: str, pictures: Sequence[Picture], rate: Fraction, delay: float
    ) -> None:
        height, width = pictures[0].shape[:2]
        self.info = SourceInfo(name, width, height, 1 / rate, frame_rate=rate, live=True)
        self.status = LiveStatus(CameraState.LIVE, time.monotonic(), connections=1, codec="none")
        self.decoded = 0
        self._pictures = pictures
        self._rate = float(rate)
        self._delay = delay
        self._interrupted = threading.Event()

    def frames(self, selector: Selector, *, every: bool = False) -> Iterator[Frame]:
        """Yield the wanted frames when they are due; a slow caller gets the newest next."""
        assert not every, "a live source gives the wanted frames only"
        started = time.monotonic() + self._delay
        while True:
            newest = math.floor((time.monotonic() - started) * self._rate)
            index = max(math.ceil(selector.next_due * self._rate), newest, self.decoded)
            due = started + index / self._rate
            if self._interrupted.wait(max(0.0, due - time.monotonic())):
                return
            self.decoded = index + 1
            if selector.wants(index, index / self._rate):
                yield self._frame(index, due)

    def interrupt(self) -> None:
        """Make `frames` end soon, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _frame(self, index: int, due: float) -> Frame:
        return Frame(
            source=self.info.id,
            index=index,
            pts=index,
            time_base=self.info.time_base,
            time=index / self._rate,
            picture=self._pictures[index % len(self._pictures)],
            time_utc=datetime.now(UTC),
            discontinuity=index == 0,
            arrival=due,
        )
