"""Finds one source's events among its tracked objects."""

import secrets
import string
from dataclasses import dataclass, field, replace

from streamcam.clock import Clock
from streamcam.config.event_schema import EventSettings
from streamcam.events.event import Event, EventChange, EventFocus, EventStage, Moment, Suspicion
from streamcam.types import Detection, Frame, FrameResult

_GONE_FRAMES = 2
"""Explained frames that an object must be missing in before it has gone, whatever their times."""

_UPDATE_SECONDS = 1.0
"""Changes of an event are told once a second at most; each is a write to the store."""

_REPEAT_SECONDS = 10.0
"""An event that goes on unchanged is told as often, so that a crash does not cost its length."""

_BETTER = 0.05
"""Confidence by which another frame must be better to stand for the event: each costs two JPEGs
of 20 ms at 1080p, and people see no difference below it."""

_CHANCE = 1.0
"""The lift of a map that knows nothing of the object."""

_FLICKER_GAPS = 3
_FLICKER_SHARE = 0.3
"""An object flickers if it was lost three times at least, and in 30 % of the frames of its life."""

_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(slots=True)
class _Track:
    """What is known of an object since its first frame."""

    id: int
    begin: Moment
    class_id: int
    label: str
    latest: Moment
    number: int  # of the latest frame it was found in, among the explained ones
    confidence: float = 0.0
    frames: int = 0
    gaps: int = 0
    missing: int = 0
    lifts: int = 0
    lift_sum: float = 0.0
    lift_min: float = 0.0
    off_object: int = 0
    zones: dict[str, None] = field(default_factory=dict)  # in the order of entering
    event: Event | None = None
    best_confidence: float = 0.0
    picture: FrameResult | None = None  # of the event's best frame, until it is told
    told: Event | None = None
    told_at: float = 0.0

    def add(self, detection: Detection, moment: Moment, number: int, *, has_map: bool) -> None:
        missed = number - self.number - 1
        if self.frames and missed > 0:
            self.gaps += 1
            self.missing += missed
        self.latest, self.number = moment, number
        self.frames += 1
        if detection.confidence > self.confidence:
            self.confidence = detection.confidence
            if self.event is None:
                self.label, self.class_id = detection.label, detection.class_id
        self.zones.update(dict.fromkeys(detection.zones))
        if has_map:
            lift = detection.focus.lift
            self.lift_min = lift if self.lifts == 0 else min(lift, self.lift_min)
            self.lifts += 1
            self.lift_sum += lift
            self.off_object += lift < _CHANCE

    def focus(self) -> EventFocus:
        lifts = max(1, self.lifts)
        return EventFocus(self.lift_sum / lifts, self.lift_min, self.off_object / lifts)

    def suspicions(self) -> tuple[Suspicion, ...]:
        found = []
        if self.off_object * 2 > self.lifts:
            found.append(Suspicion.OFF_OBJECT)
        lost = self.missing / (self.frames + self.missing)
        if self.gaps >= _FLICKER_GAPS and lost >= _FLICKER_SHARE:
            found.append(Suspicion.FLICKERING)
        return tuple(found)


class EventFinder:
    """Turns one source's tracked results into events; all calls come from one thread.

    An object becomes an event in the frame in which it fulfils its rule, and stays one until it has
    gone, another shot begins (a cut, a new connection), or `end`. Objects without a track are
    ignored. What is held are the objects of the last seconds, and each best frame for a second.

    Args:
        source: The camera's name, or the file's id.
        rule: What becomes an event.
        lost_after: Seconds for which an object may be hidden and keep its track.
    """

    def __init__(self, source: str, rule: EventSettings, lost_after: float, clock: Clock) -> None:
        self._source = source
        self._rule = rule
        self._classes = frozenset(rule.classes)
        self._zones = frozenset(rule.zones)
        self._lost_after = lost_after
        self._clock = clock
        self._tracks: dict[int, _Track] = {}
        self._number = 0

    def update(self, result: FrameResult) -> list[EventChange]:
        """Take the next explained frame, and return what is to be told of events."""
        frame = result.frame
        changes = self.end() if result.new_shot or frame.discontinuity else []
        self._number += 1
        moment = Moment(frame.index, frame.time, frame.time_utc)
        for detection in result.detections:
            if detection.track_id is not None and self._is_wanted(detection):
                track = self._seen(detection, detection.track_id, moment, result)
                changes += self._changes(track, frame.time)
        return changes + self._end_gone(frame)

    def end(self) -> list[EventChange]:
        """Forget all objects, and return the ends of their events: the source ended, or broke."""
        tracks, self._tracks = self._tracks, {}
        return [_ended(track) for track in tracks.values() if track.event is not None]

    def _is_wanted(self, detection: Detection) -> bool:
        is_known = detection.track_id in self._tracks
        return is_known or not self._classes or detection.label in self._classes

    def _seen(
        self, detection: Detection, number: int, moment: Moment, result: FrameResult
    ) -> _Track:
        track = self._tracks.get(number)
        if track is None:
            label, class_id = detection.label, detection.class_id
            track = _Track(number, moment, class_id, label, moment, self._number)
            self._tracks[number] = track
        track.add(detection, moment, self._number, has_map=result.explanation.has_map)
        if track.event is None and self._passes(track):
            track.event = self._begin(track, detection, moment)
            track.picture, track.best_confidence = result, detection.confidence
        elif track.event is not None:
            self._update_event(track, detection, moment, result)
        return track

    def _passes(self, track: _Track) -> bool:
        rule = self._rule
        if self._classes and track.label not in self._classes:
            return False
        if track.confidence < rule.min_confidence:
            return False
        if track.latest.time - track.begin.time < rule.min_seconds:
            return False
        if self._zones and not self._zones.intersection(track.zones):
            return False
        lift = track.focus().lift_mean
        is_enough = rule.min_lift is None or lift >= rule.min_lift
        return is_enough and (rule.max_lift is None or lift <= rule.max_lift)

    def _begin(self, track: _Track, detection: Detection, moment: Moment) -> Event:
        utc = track.begin.utc or self._clock.utc()
        return Event(
            id=make_id(utc.timestamp()),
            source=self._source,
            label=track.label,
            class_id=track.class_id,
            track_id=track.id,
            begin=track.begin,
            best=moment,
            end=None,
            box=detection.box,
            confidence=track.confidence,
            zones=tuple(track.zones),
            frames=track.frames,
            focus=track.focus(),
            suspicions=track.suspicions(),
            latest=moment,
            current_zones=detection.zones,
        )

    @staticmethod
    def _update_event(
        track: _Track, detection: Detection, moment: Moment, result: FrameResult
    ) -> None:
        assert track.event is not None
        event = track.event
        if detection.confidence >= track.best_confidence + _BETTER:
            event = replace(event, best=moment, box=detection.box)
            track.picture, track.best_confidence = result, detection.confidence
        track.event = replace(
            event,
            confidence=track.confidence,
            zones=tuple(track.zones),
            frames=track.frames,
            focus=track.focus(),
            suspicions=track.suspicions(),
            latest=moment,
            current_zones=detection.zones,
        )

    @staticmethod
    def _changes(track: _Track, time: float) -> list[EventChange]:
        """Return the begin of an event, or what has changed of it, if it is time to tell."""
        event, told = track.event, track.told
        if event is None:
            return []
        if told is not None:
            pause = _UPDATE_SECONDS if _differs(event, told) else _REPEAT_SECONDS
            if time - track.told_at < pause:
                return []
        stage = EventStage.NEW if told is None else EventStage.UPDATE
        change = EventChange(stage, event, told, track.picture)
        track.told, track.told_at, track.picture = event, time, None
        return [change]

    def _end_gone(self, frame: Frame) -> list[EventChange]:
        gone = [
            track
            for track in self._tracks.values()
            if self._number - track.number >= _GONE_FRAMES
            and frame.time - track.latest.time > self._lost_after
        ]
        for track in gone:
            del self._tracks[track.id]
        return [_ended(track) for track in gone if track.event is not None]


def _differs(event: Event, told: Event) -> bool:
    """Tell whether something changed that people or programs wait for."""
    return _telling(event) != _telling(told)


def _telling(event: Event) -> tuple[object, ...]:
    return event.best, event.zones, event.current_zones, event.suspicions


def _ended(track: _Track) -> EventChange:
    assert track.event is not None
    event = replace(track.event, end=track.latest, current_zones=())
    return EventChange(EventStage.END, event, track.told, track.picture)


def make_id(seconds: float) -> str:
    """Return a new event's id for its begin in seconds since 1970."""
    letters = "".join(secrets.choice(_ID_LETTERS) for _ in range(6))
    return f"{seconds:.6f}-{letters}"
