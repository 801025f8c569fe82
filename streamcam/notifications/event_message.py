"""An event's change as the JSON that brokers and webhooks get.

Fields that mean the same as in Frigate's `frigate/events` have the same names, so that automations
made for it work. The JSON Schema is `event_message` of `streamcam schema`.
"""

from typing import Any

import orjson

from streamcam.events.event import Event, EventChange, Moment


def event_message(change: EventChange, *, has_clip: bool) -> bytes:
    """Return a change of a camera's event as a JSON object in UTF-8.

    Args:
        change: What happened; its picture is not part of the message.
        has_clip: Whether the camera is recorded, so that there is, or will be, a clip.
    """
    before = None if change.before is None else _event(change.before, has_clip)
    after = _event(change.event, has_clip)
    return orjson.dumps({"type": change.stage.value, "before": before, "after": after})


def _event(event: Event, has_clip: bool) -> dict[str, Any]:
    focus = event.focus
    return {
        "id": event.id,
        "camera": event.source,
        "label": event.label,
        "frame_time": _seconds(event.latest or event.begin),
        "start_time": _seconds(event.begin),
        "end_time": None if event.end is None else _seconds(event.end),
        "top_score": round(event.confidence, 4),
        "snapshot": {
            "frame_time": _seconds(event.best),
            "box": [round(edge, 1) for edge in event.box],
            "score": round(event.confidence, 4),
        },
        "current_zones": list(event.current_zones),
        "entered_zones": list(event.zones),
        "has_clip": has_clip,
        "has_snapshot": True,
        "track_id": event.track_id,
        "class_id": event.class_id,
        "frames": event.frames,
        "lift": round(focus.lift_mean, 3),
        "lift_min": round(focus.lift_min, 3),
        "off_object": round(focus.share_off_object, 3),
        "suspicions": [suspicion.value for suspicion in event.suspicions],
    }


def _seconds(moment: Moment) -> float:
    """Return seconds since 1970."""
    assert moment.utc is not None, "events of files are not told"
    return round(moment.utc.timestamp(), 3)
