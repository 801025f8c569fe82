"""An event: one tracked object that passed a rule, from its first frame to its last."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from streamcam.types import Box, FrameResult


class EventStage(StrEnum):
    """What is told of an event: that it began, that it changed, that it is over."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


class Suspicion(StrEnum):
    """Why an event may be a false alarm."""

    OFF_OBJECT = "off-object"
    """For most of its life the map lay off the object: a lift below 1."""
    FLICKERING = "flickering"
    """The object was found and lost again and again."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame's time.

    Attributes:
        frame: The frame's number in its source.
        time: Seconds from the source's first frame, as in records.
        utc: Time of capture, of live sources; None for files.
    """

    frame: int
    time: float
    utc: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventFocus:
    """How much of the maps lay on the object over an event's life."""

    lift_mean: float
    lift_min: float
    share_off_object: float  # of its frames, those whose lift is below 1; 0..1


@dataclass(frozen=True, slots=True)
class Event:
    """What is known of an event at one moment.

    Attributes:
        id: Unique over all sources and runs, in the order of their begin: of cameras the seconds
            since 1970 with microseconds, then six random letters, as in
            "1735689600.250000-k3x9qa".
        source: A camera's name, or a file's id.
        track_id: The object's track in its source.
        begin: The first frame of its track, also if the rule was passed later.
        best: The frame whose picture stands for it; `box` is of this frame.
        end: The last frame that the object was found in; None while the event lasts.
        confidence: The highest, 0..1.
        zones: Names of the zones that it was in, in the order of entering.
        current_zones: Those that it is in; none when it has ended.
        frames: In how many explained frames it was found.
        suspicions: Why it may be a false alarm.
        latest: The newest frame that it was found in.
    """

    id: str
    source: str
    label: str
    class_id: int
    track_id: int
    begin: Moment
    best: Moment
    end: Moment | None
    box: Box
    confidence: float
    zones: tuple[str, ...]
    frames: int
    focus: EventFocus
    suspicions: tuple[Suspicion, ...] = ()
    latest: Moment | None = None
    current_zones: tuple[str, ...] = ()

    @property
    def began(self) -> float:
        """Seconds since 1970 of its begin; of a file's event, of the work on it."""
        return began(self.id)


@dataclass(frozen=True, slots=True)
class EventChange:
    """An event that began, changed or ended.

    Attributes:
        before: What was told of it the last time; None for a new one.
        picture: The explained frame of `event.best`, if it was not given before. To be used at
            once, not to be kept: it holds the whole frame.
    """

    stage: EventStage
    event: Event
    before: Event | None = None
    picture: FrameResult | None = field(default=None, compare=False, repr=False)


def began(event_id: str) -> float:
    """Return the seconds since 1970 that an event's id begins with."""
    return float(event_id.partition("-")[0])


def first_id(seconds: float) -> str:
    """Return the id before those of all events that began at a moment or later."""
    return f"{max(0.0, seconds):017.6f}"
