"""One frame of an export: its picture's file, its boxes, its maps, and why it was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamcam.escapes import printable
from streamcam.export.original_pictures import Record
from streamcam.types import Box


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a frame counts as hard.

    Attributes:
        by: The criterion.
        score: The larger, the harder; comparable within a criterion.
        text: The same in words.
    """

    by: str
    score: float
    text: str

    def as_values(self) -> dict[str, Any]:
        return {"by": self.by, "score": round(self.score, 4), "text": self.text}


@dataclass(frozen=True, slots=True)
class ExportedBox:
    """A pre-label.

    Attributes:
        label: The class in the model's own words, printable.
        box: In pixels, within the frame, neither side 0.
        focus: "energy", "lift" and "peak_inside" of the box's own map where it has one, else of
            the frame's.
        method: The method of the map that `focus` is of.
        map: The file of the box's own map, below the export's folder; None where there is none.
    """

    label: str
    class_id: int
    confidence: float
    box: Box
    focus: Mapping[str, Any]
    method: str
    track_id: int | None = None
    map: str | None = None

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    def numbers(self) -> dict[str, Any]:
        """Return what a labelling tool may show beside the box, by name; all of it known."""
        known = {"confidence": self.confidence, **self.focus, "class_id": self.class_id}
        extra = {"track_id": self.track_id, "map": self.map}
        named = {name: value for name, value in extra.items() if value is not None}
        return {**known, "method": self.method, **named}


@dataclass(frozen=True, slots=True)
class ExportedFrame:
    """A frame whose picture is written.

    Attributes:
        image: The picture's file name, in the export's folder of pictures.
        width, height: In pixels.
        source: Name of the results that it is of, as `streamcam report` calls them.
        model: The detector's name.
        map: The file of the frame's map (PNG, 16 bits), below the export's folder, or None.
        reason: None where all frames are exported.
    """

    image: str
    width: int
    height: int
    source: str
    model: str
    record: Record
    boxes: Sequence[ExportedBox]
    map: str | None = None
    reason: Reason | None = None

    def numbers(self) -> dict[str, Any]:
        """Return what a labelling tool may show beside the frame, by name; all of it known."""
        record, cam = self.record, self.record["cam"]
        known: dict[str, Any] = {
            "source": self.source,
            "frame": record["frame"],
            "time": record["time"],
            "time_utc": record.get("time_utc"),
            "model": self.model,
            "method": cam["method"],
            "explained_variance": cam["explained_variance"],
            "flicker": cam["flicker"],
            "map": self.map,
        }
        if self.reason is not None:
            known["reason"] = self.reason.as_values()
        return {name: value for name, value in known.items() if value is not None}


def boxes_of(
    record: Record, size: tuple[int, int], box_maps: Mapping[int, str]
) -> list[ExportedBox]:
    """Return a record's detections as pre-labels, the most confident first.

    Args:
        record: In the form of the schema "record".
        size: The frame's width and height, which boxes are cut to.
        box_maps: Files of the boxes' own maps, by the box's place in the record.
    """
    found = []
    for place, detection in enumerate(record["detections"]):
        box = _within(detection["box"], size)
        if box is None:
            continue
        why = detection.get("why")
        focus = why or detection["focus"]
        found.append(
            ExportedBox(
                printable(detection["label"]),
                detection["class_id"],
                detection["confidence"],
                box,
                {name: focus[name] for name in ("energy", "lift", "peak_inside")},
                record["cam"]["method"] if why is None else why["method"],
                detection.get("track_id"),
                box_maps.get(place),
            )
        )
    return found


def _within(box: Sequence[float], size: tuple[int, int]) -> Box | None:
    """The part of a box that lies in the frame; None where it has no area."""
    width, height = size
    x1, x2 = (min(max(edge, 0.0), float(width)) for edge in box[::2])
    y1, y2 = (min(max(edge, 0.0), float(height)) for edge in box[1::2])
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
