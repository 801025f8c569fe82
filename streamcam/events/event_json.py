"""Events as JSON: in `events.jsonl`, in the store, in the API; their form is the schema "event"."""

from collections.abc import Mapping
from typing import Any

from streamcam.clock import iso_utc
from streamcam.events.event import Event, Moment


def as_json(event: Event) -> dict[str, Any]:
    """Return an event as plain values; numbers are rounded as those of records."""
    focus = event.focus
    return {
        "id": event.id,
        "source": event.source,
        "label": event.label,
        "class_id": event.class_id,
        "track_id": event.track_id,
        "begin": moment_json(event.begin),
        "best": moment_json(event.best),
        "end": None if event.end is None else moment_json(event.end),
        "box": [round(float(edge), 2) for edge in event.box],
        "confidence": _score(event.confidence),
        "zones": list(event.zones),
        "frames": event.frames,
        "focus": {
            "lift_mean": _score(focus.lift_mean),
            "lift_min": _score(focus.lift_min),
            "share_off_object": _score(focus.share_off_object),
        },
        "suspicions": [suspicion.value for suspicion in event.suspicions],
    }


def moment_json(moment: Moment) -> Mapping[str, Any]:
    utc = {} if moment.utc is None else {"time_utc": iso_utc(moment.utc)}
    return {"frame": moment.frame, "time": round(moment.time, 6), **utc}


def _score(value: float) -> float:
    return round(float(value), 4)
