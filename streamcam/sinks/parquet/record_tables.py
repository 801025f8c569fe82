"""Records as two tables: explained frames with what is known of their maps, and detections.

Both have the same values as the JSON lines, row by row in the same order: a record is made into
rows, and rows into the same record again.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from streamcam.clock import iso_utc
from streamcam.sinks.parquet.table_file import Column, Row, Table

_SOURCE = Column("source", "category", "A path, a URL without credentials, or a camera's name.")
_FRAME = Column("frame", "int64", "Number of the frame in its source, from 0.")
_TIME = Column("time", "double", "Seconds from the source's first frame.")
_TIME_UTC = Column(
    "time_utc", "timestamp", "Wall-clock time of capture; null for files.", nullable=True
)
_TRACK = Column("track_id", "int64", "The object's number in its source, from 1.", nullable=True)
_LABEL = Column("label", "category", "The class's name in the model's own words.")

_ZONE_CHANGES = (
    Column("zone", "string", "The zone's name."),
    Column("change", "string", "`enter` or `leave`."),
    Column("label", "string", "The object's class."),
    Column("track_id", "int64", "The object's number."),
    Column("seconds", "double", "How long it was in the zone; null on entering.", nullable=True),
)
_LINE_CROSSINGS = (
    Column("line", "string", "The line's name."),
    Column("direction", "string", "`in` or `out`."),
    Column("label", "string", "The object's class."),
    Column("track_id", "int64", "The object's number."),
)

FRAME_TABLE = Table(
    "frames",
    "explained frame",
    (
        *(_SOURCE, _FRAME),
        Column("pts", "int64", "Presentation time in units of the manifest's `time_base`."),
        *(_TIME, _TIME_UTC),
        Column(
            "last_frame_age",
            "double",
            "Seconds since the camera last showed something new; null for files.",
            nullable=True,
        ),
        Column("detections", "int32", "Number of its rows in the table of detections."),
        Column("cam_method", "category", "The method that made the frame's map."),
        Column(
            "cam_explained_variance",
            "double",
            "Share of the first principal component, 0..1; null for methods without.",
            nullable=True,
        ),
        Column(
            "cam_flicker",
            "double",
            "Mean absolute change since the map before, 0..1; null for the first of a shot.",
            nullable=True,
        ),
        Column("cam_peak_x", "double", "The map's maximum, pixels from the left."),
        Column("cam_peak_y", "double", "The map's maximum, pixels from the top."),
        Column(
            "cam_coarse_map",
            "string",
            "The map on 8 x 8 cells, in base64; null without a map.",
            nullable=True,
        ),
        Column("cam_age_ms", "double", "How much older than the frame its map is; 0 for its own."),
        Column("zone_changes", _ZONE_CHANGES, "Tracked objects that entered or left a zone."),
        Column("line_crossings", _LINE_CROSSINGS, "Tracked objects that crossed a line."),
    ),
)

DETECTION_TABLE = Table(
    "detections",
    "detection, most confident first in each frame",
    (
        *(_SOURCE, _FRAME, _TIME, _TIME_UTC, _LABEL),
        Column("class_id", "int32", "The class's number in the model's own count."),
        Column("confidence", "double", "The detector's score, 0..1."),
        Column("x1", "double", "The box's left edge, pixels of the displayed frame."),
        Column("y1", "double", "Its upper edge."),
        Column("x2", "double", "Its right edge."),
        Column("y2", "double", "Its lower edge."),
        Column("focus_energy", "double", "Share of the frame's map inside the box, 0..1."),
        Column(
            "focus_lift",
            "double",
            "Energy over the box's share of the frame's area; 1 is no better than chance.",
        ),
        Column("focus_peak_inside", "bool", "Whether the frame's map has its maximum in the box."),
        _TRACK,
        Column("zones", "strings", "Names of the zones that the object stands in."),
        Column(
            "why_method", "category", "The method of the box's own map; null: none.", nullable=True
        ),
        Column("why_energy", "double", "Share of that map inside the box, 0..1.", nullable=True),
        Column("why_lift", "double", "As `focus_lift`, of that map.", nullable=True),
        Column(
            "why_peak_inside",
            "bool",
            "As `focus_peak_inside`, of that map.",
            nullable=True,
        ),
        Column("why_age_ms", "double", "How much older than the frame that map is.", nullable=True),
    ),
)

_EDGES = ("x1", "y1", "x2", "y2")
_FOCUS = ("energy", "lift", "peak_inside")
_WHY = ("method", *_FOCUS, "age_ms")
_CAM = ("method", "explained_variance", "flicker", "age_ms")


def frame_row(record: Mapping[str, Any]) -> Row:
    """Return a record of the schema "record" as a row of `FRAME_TABLE`."""
    cam = record["cam"]
    peak_x, peak_y = cam["peak"]
    return {
        **_moment(record),
        "pts": record["pts"],
        "last_frame_age": record.get("last_frame_age"),
        "detections": len(record["detections"]),
        **{f"cam_{name}": cam[name] for name in _CAM},
        "cam_peak_x": peak_x,
        "cam_peak_y": peak_y,
        "cam_coarse_map": cam.get("coarse_map"),
        "zone_changes": record.get("zone_changes", []),
        "line_crossings": record.get("line_crossings", []),
    }


def detection_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the detections of a record as rows of `DETECTION_TABLE`."""
    moment = _moment(record)
    for found in record["detections"]:
        why = found.get("why", {})
        yield {
            **moment,
            "label": found["label"],
            "class_id": found["class_id"],
            "confidence": found["confidence"],
            **dict(zip(_EDGES, found["box"], strict=True)),
            **{f"focus_{name}": found["focus"][name] for name in _FOCUS},
            "track_id": found.get("track_id"),
            "zones": found.get("zones", []),
            **{f"why_{name}": why.get(name) for name in _WHY},
        }


def records_of(frames: Iterable[Row], detections: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Yield the records that rows of both tables were made of, in the same order."""
    rest = iter(detections)
    for frame in frames:
        yield _record(frame, islice(rest, frame["detections"]))


def _moment(record: Mapping[str, Any]) -> Row:
    utc = record.get("time_utc")
    return {
        "source": record["source"],
        "frame": record["frame"],
        "time": record["time"],
        "time_utc": None if utc is None else datetime.fromisoformat(utc),
    }


def _record(frame: Row, detections: Iterable[Row]) -> dict[str, Any]:
    live: dict[str, Any] = {}
    if frame["time_utc"] is not None:
        live["time_utc"] = iso_utc(frame["time_utc"])
    if frame["last_frame_age"] is not None:  # recordings of earlier versions lack it
        live["last_frame_age"] = frame["last_frame_age"]
    passages = {name: _without_nulls(frame[name]) for name in ("zone_changes", "line_crossings")}
    return {
        **{name: frame[name] for name in ("source", "frame", "pts", "time")},
        **live,
        "detections": [_detection(row) for row in detections],
        "cam": {
            **{name: frame[f"cam_{name}"] for name in _CAM},
            "peak": [frame["cam_peak_x"], frame["cam_peak_y"]],
            "coarse_map": frame.get("cam_coarse_map"),
        },
        **{name: values for name, values in passages.items() if values},
    }


def _detection(row: Row) -> dict[str, Any]:
    found = {
        "label": row["label"],
        "class_id": row["class_id"],
        "confidence": row["confidence"],
        "box": [row[edge] for edge in _EDGES],
        "focus": {name: row[f"focus_{name}"] for name in _FOCUS},
    }
    if row["track_id"] is not None:
        found["track_id"] = row["track_id"]
    if row["zones"]:
        found["zones"] = list(row["zones"])
    if row["why_method"] is not None:
        found["why"] = {name: row[f"why_{name}"] for name in _WHY}
    return found


def _without_nulls(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
