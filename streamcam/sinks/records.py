"""One JSON record per explained frame."""

from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from streamcam.clock import iso_utc
from streamcam.errors import SinkError
from streamcam.files import PartFile
from streamcam.media_errors import writing
from streamcam.regions import LineCrossing, ZoneChange
from streamcam.sinks.base import FileSink, ResultFile
from streamcam.sinks.coarse_map import coarse_map, encoded
from streamcam.types import (
    BoxMap,
    Detection,
    Explanation,
    Focus,
    Frame,
    FrameResult,
    Item,
    Picture,
)


class JsonlSink(FileSink):
    """Writes one line per explained frame; its form is the schema "record".

    Each line reaches the `.part` file at once, so that it can be followed while it grows.
    """

    result_file = ResultFile("records", ".detections.jsonl", "JSON records", "application/jsonl")

    def __init__(self, path: Path) -> None:
        self._file = PartFile(path)
        self._stream: BinaryIO | None = None

    def write(self, item: Item, picture: Picture | None = None) -> None:  # noqa: ARG002
        if isinstance(item, Frame):
            return
        content = line(item)
        with writing(str(self._file.path)):
            if self._stream is None:
                self._stream = self._file.prepare().open("wb")
            self._stream.write(content)
            self._stream.flush()

    def finish(self) -> Path:
        if self._stream is None:
            raise SinkError(f"{self._file.path}: no frame was explained, so there are no records")
        with writing(str(self._file.path)):
            self._stream.close()
        return self._file.publish()

    def abort(self) -> None:
        if self._stream is not None:
            with suppress(OSError):  # the rest may not fit on the disk
                self._stream.close()
            self._file.discard()


def line(result: FrameResult) -> bytes:
    return orjson.dumps(record(result), option=orjson.OPT_APPEND_NEWLINE)


def record(result: FrameResult) -> dict[str, Any]:
    """Return an explained frame as plain values, in the form of the schema "record".

    Boxes and the peak are rounded to a hundredth of a pixel, times to a microsecond, scores to four
    decimals: far below what any of them is accurate to. The wall-clock time, and how long the
    picture has stood still, are given for live sources only.
    """
    frame = result.frame
    times: dict[str, Any] = {"time": round(frame.time, 6)}
    if frame.time_utc is not None:
        times["time_utc"] = iso_utc(frame.time_utc)
        times["last_frame_age"] = round(frame.unchanged, 3)
    return {
        "source": frame.source,
        "frame": frame.index,
        "pts": frame.pts,
        **times,
        "detections": [_detection(detection) for detection in result.detections],
        "cam": _cam(result.explanation),
        **_passages(result),
    }


def _detection(detection: Detection) -> dict[str, Any]:
    return {
        "label": detection.label,
        "class_id": detection.class_id,
        "confidence": _score(detection.confidence),
        "box": [_pixel(edge) for edge in detection.box],
        "focus": _focus(detection.focus),
        **_track(detection),
        **({} if detection.why is None else {"why": _why(detection.why)}),
    }


def _passages(result: FrameResult) -> dict[str, Any]:
    """What tracked objects did in zones and at lines; nothing where they did nothing."""
    changes = [
        {
            "zone": change.zone,
            "change": "enter" if change.seconds is None else "leave",
            **_who(change),
            **({} if change.seconds is None else {"seconds": round(change.seconds, 3)}),
        }
        for change in result.zone_changes
    ]
    crossings = [
        {"line": crossing.line, "direction": crossing.direction.value, **_who(crossing)}
        for crossing in result.line_crossings
    ]
    named = {"zone_changes": changes, "line_crossings": crossings}
    return {name: values for name, values in named.items() if values}


def _who(passage: ZoneChange | LineCrossing) -> dict[str, Any]:
    return {"label": passage.label, "track_id": passage.track_id}


def _track(detection: Detection) -> dict[str, Any]:
    if detection.track_id is None:
        return {}
    return {
        "track_id": detection.track_id,
        **({"zones": list(detection.zones)} if detection.zones else {}),
    }


def _why(why: BoxMap) -> dict[str, Any]:
    return {"method": why.method, **_focus(why.focus), "age_ms": round(why.age * 1000, 1)}


def _focus(focus: Focus) -> dict[str, Any]:
    return {
        "energy": _score(focus.energy),
        "lift": _score(focus.lift),
        "peak_inside": bool(focus.peak_inside),
    }


def _cam(explanation: Explanation) -> dict[str, Any]:
    flicker, share = explanation.flicker, explanation.explained_variance
    return {
        "method": explanation.method,
        "explained_variance": None if share is None else _score(share),
        "flicker": None if flicker is None else _score(flicker),
        "peak": [_pixel(edge) for edge in explanation.peak],
        "coarse_map": encoded(coarse_map(explanation.map)) if explanation.has_map else None,
        # An explained frame carries the map that was computed for it; only held maps grow old.
        "age_ms": 0.0,
    }


def _pixel(value: float) -> float:
    return round(float(value), 2)


def _score(value: float) -> float:
    return round(float(value), 4)
