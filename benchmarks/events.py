"""Events of the drawn street through RTSP against the truth: are they all there, and when?

    python -m benchmarks.events --seconds 600

Draws the street, serves it by a real RTSP server in real time, explains, tracks and records it, and
compares the events in the store with the objects that were drawn. Prints one JSON object; exits
with 1 if a clip does not play or does not hold its object.

An event is right if its box in its best frame is that of a drawn object of its class (intersection
over union 0.5 or more). Objects count that could be seen for a second at least; their begin and end
are those of being drawn (`drawn`), and those of being found by the detector, frame by frame
(`detected`), which leaves the errors of tracks and events alone.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, overload

import av
import orjson

from benchmarks.observer import FrameRecorder, all_explained, ms
from streamcam.cameras.manager import CameraManager
from streamcam.cameras.plan import plans
from streamcam.config import Settings
from streamcam.demo.scene import DemoScene
from streamcam.events.event_store import FILE_NAME, EventFilter, EventStore, StoredEvent
from streamcam.process_tuning import set_up_libraries
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, event_file
from streamcam.types import Box, Picture, TrueObject
from tests.servers.rtsp import RtspServer, ServedStream

Truth: TypeAlias = Callable[[int], Sequence[TrueObject]]
"""Returns what is drawn on a picture, by its number."""

CLASSES = ("person", "car", "truck", "bus", "bicycle", "dog")
LEAST_SECONDS = 1.0
TOLERANCE = 0.5
SEGMENT = 10.0
_GRACE_SECONDS = 30.0

_BLOCK = 50
_MOST_SHIFT = 4
"""Seconds by which times and pictures may drift apart within so many frames."""


class DrawnPictures(Sequence[Picture]):
    """The street's pictures at a rate, each drawn when it is asked for."""

    def __init__(self, scene: DemoScene, rate: int, seconds: float) -> None:
        self._scene = scene
        self._rate = rate
        self._count = round(seconds * rate)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        if index >= self._count:
            raise IndexError(index)
        return self._scene.picture(index / self._rate)


@dataclass
class DrawnObject:
    """A drawn object: its boxes by picture, and the pictures in which the detector found it."""

    label: str
    boxes: dict[int, Box] = field(default_factory=dict)
    found: list[int] = field(default_factory=list)


def main() -> None:
    """Run the street for a while and judge its events."""
    options = _options()
    set_up_libraries()
    scene = DemoScene(seed=options.seed, width=640, height=360)
    with tempfile.TemporaryDirectory(prefix="streamcam-events-") as folder:
        output = Path(folder)
        stages = _run(output, scene, options)
        records = sorted(_records(output), key=lambda record: record["time"])
        with closing(EventStore(output / FILE_NAME)) as store:
            events = store.find(EventFilter(), 10**6)
        figures = _judge(events, records, scene, options.fps)
        broken = [event.id for event in events if not _clip_is_good(output, event)]
    figures |= {"clips": len(events) - len(broken), "broken_clips": broken, "cost_ms": stages}
    print(json.dumps(figures, indent=2))
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Events against the truth.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--fps", type=int, default=5, help="Of the stream; all are explained.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--confidence", type=float, default=0.5, help="Least one of an event.")
    return parser.parse_args()


def _run(
    output: Path, scene: DemoScene, options: argparse.Namespace
) -> Mapping[str, Mapping[str, float]]:
    """Explain and record the street; return what tracks and events cost a frame."""
    pictures = DrawnPictures(scene, options.fps, options.seconds)
    stream = ServedStream(rate=options.fps, gop=options.fps, pictures=pictures)
    observer = FrameRecorder()
    with RtspServer({"street": stream}) as server:
        settings = _settings(output, server.url("street"), options)
        with CameraManager(settings, observer) as manager:
            manager.reconcile(plans(settings))
            all_explained(manager, within=math.inf)
            observer.measuring = True
            # A loop of the pictures would be no continuation.
            time.sleep(options.seconds - SEGMENT)
            manager.stop(_GRACE_SECONDS)
    wanted = {name: observer.stages[name] for name in ("tracking", "events", "render")}
    return {
        name: {"median": ms(statistics.median(values)), "mean": ms(statistics.fmean(values))}
        for name, values in wanted.items()
        if values
    }


def _settings(output: Path, url: str, options: argparse.Namespace) -> Settings:
    rule = {
        "classes": CLASSES,
        "min_seconds": LEAST_SECONDS,
        "min_confidence": options.confidence,
    }
    camera = {"name": "street", "url": url, "events": rule}
    return Settings.model_validate(
        {
            "camera": [camera],
            "live": {"max_fps": 1000, "segment": SEGMENT},
            "output": {"folder": output},
        }
    )


def _records(output: Path) -> Iterator[dict[str, Any]]:
    for path in (output / "street").glob("*/*/[0-5][0-9]-[0-5][0-9]*.jsonl"):
        yield from (orjson.loads(line) for line in path.read_bytes().splitlines())


def _judge(
    events: Sequence[StoredEvent], records: Sequence[Mapping[str, Any]], scene: DemoScene, fps: int
) -> dict[str, Any]:
    truth = cache(lambda number: scene.truth(number / fps))
    numbers = _numbers(records, truth, fps)
    objects = _objects(records, truth, numbers, fps)
    own: defaultdict[str, list[StoredEvent]] = defaultdict(list)
    for event in events:
        own[_object_of(event, objects, numbers)].append(event)
    wrong = own.pop("", [])
    found = {name: objects[name] for name in own}
    detectable = {
        name for name, o in objects.items() if o.found and _length(o.found) >= LEAST_SECONDS * fps
    }
    drawn = {name: (min(o.boxes), max(o.boxes)) for name, o in found.items()}
    detected = {name: (min(o.found), max(o.found)) for name, o in found.items() if o.found}
    return {
        "frames": len(records),
        "objects": len(objects),
        "detectable": len(detectable),
        "events": len(events),
        "precision": _share(len(events) - len(wrong), len(events)),
        "recall_of_drawn": _share(len(own), len(objects)),
        "recall_of_detectable": _share(len(own.keys() & detectable), len(detectable)),
        "events_per_object": _share(len(events) - len(wrong), len(own)),
        "within_0.5_s_of_drawn": _within(own, drawn, numbers, fps),
        "within_0.5_s_of_detected": _within(own, detected, numbers, fps),
        "suspects": sum(bool(event.content["suspicions"]) for event in events),
    }


def _numbers(records: Sequence[Mapping[str, Any]], truth: Truth, fps: int) -> dict[int, int]:
    """Return the number of the picture that each frame shows, by the frame's number.

    The server falls behind on a busy machine, so pictures are told by what is on them: of each ten
    seconds, the shift against the time with which most detections fit what is drawn.
    """
    numbers: dict[int, int] = {}
    shift, reach = 0, _MOST_SHIFT * fps
    for begin in range(0, len(records), _BLOCK):
        block = records[begin : begin + _BLOCK]
        near = range(shift - reach, shift + reach + 1)
        shift = max(near, key=lambda by: _fitting(block[::3], truth, by, fps))
        numbers |= {record["frame"]: round(record["time"] * fps) + shift for record in block}
    return numbers


def _fitting(records: Sequence[Mapping[str, Any]], truth: Truth, shift: int, fps: int) -> int:
    return sum(
        any(_fits(found, each.label, each.box) for found in record["detections"])
        for record in records
        for each in truth(round(record["time"] * fps) + shift)
    )


def _objects(
    records: Sequence[Mapping[str, Any]], truth: Truth, numbers: Mapping[int, int], fps: int
) -> dict[str, DrawnObject]:
    """Return the objects that could be seen for long enough, by name."""
    objects: dict[str, DrawnObject] = {}
    for record in records:
        number = numbers[record["frame"]]
        for each in truth(number):
            if each.label not in CLASSES:
                continue
            assert each.identity is not None
            drawn = objects.setdefault(each.identity, DrawnObject(each.label))
            drawn.boxes[number] = each.box
            if any(_fits(found, each.label, each.box) for found in record["detections"]):
                drawn.found.append(number)
    least = LEAST_SECONDS * fps
    return {name: o for name, o in objects.items() if _length([*o.boxes]) >= least}


def _fits(found: Mapping[str, Any], label: str, box: Box) -> bool:
    return found["label"] == label and _overlap(found["box"], box) >= 0.5


def _object_of(
    event: StoredEvent, objects: Mapping[str, DrawnObject], numbers: Mapping[int, int]
) -> str:
    """Return the name of the object that an event is of; empty: of none."""
    content = event.content
    number = numbers[content["best"]["frame"]]
    near = range(number - 1, number + 2)  # arrival times are those of pictures to within one
    overlaps = {
        name: max(_overlap(content["box"], each.boxes[n]) for n in near if n in each.boxes)
        for name, each in objects.items()
        if each.label == content["label"] and any(n in each.boxes for n in near)
    }
    best = max(overlaps, key=lambda name: overlaps[name], default="")
    return best if best and overlaps[best] >= 0.5 else ""


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection of two boxes over their union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (both - width * height)


def _within(
    own: Mapping[str, Sequence[StoredEvent]],
    spans: Mapping[str, tuple[int, int]],
    numbers: Mapping[int, int],
    fps: int,
) -> dict[str, float]:
    """Return which share of the objects' begins and ends their events hit."""

    def hit(moment: str, first: Callable[[Iterable[int]], int], side: int) -> float:
        hits = [
            abs(first(numbers[e.content[moment]["frame"]] for e in own[name]) - span[side])
            <= TOLERANCE * fps
            for name, span in spans.items()
        ]
        return _share(sum(hits), len(hits))

    return {"begin": hit("begin", min, 0), "end": hit("end", max, 1)}


def _clip_is_good(output: Path, event: StoredEvent) -> bool:
    """Tell whether an event's clip plays, and the event's object is in it from begin to end."""
    path, lines = (event_file(output / "street", event.id, end) for end in (CLIP, CLIP_RECORDS))
    if not path.is_file():
        return False
    records = {r["frame"]: r for r in map(orjson.loads, lines.read_bytes().splitlines())}
    with av.open(str(path)) as container:
        shown = sum(1 for _ in container.decode(video=0))
    there = (records.get(event.content[each]["frame"]) for each in ("begin", "best", "end"))
    return shown == len(records) and all(
        record is not None and event.content["track_id"] in map(_track, record["detections"])
        for record in there
    )


def _track(detection: Mapping[str, Any]) -> int | None:
    number: int | None = detection.get("track_id")
    return number


def _length(numbers: Sequence[int]) -> int:
    return max(numbers) - min(numbers)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else 0.0


if __name__ == "__main__":
    main()
