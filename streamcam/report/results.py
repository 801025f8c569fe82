"""Results below a folder, of files and of cameras, as tables of numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from streamcam.errors import SinkError
from streamcam.escapes import printable
from streamcam.files import readable
from streamcam.sinks.manifest import MANIFEST, Manifest, read_manifest
from streamcam.sinks.parquet.table_sinks import FRAMES, read_record_tables
from streamcam.sinks.recording.naming import recorded_days, recorded_segments

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

_VIDEO, _PICTURE, _RECORDS = "video", "picture", "records"


@dataclass(frozen=True, slots=True)
class RecordedClip:
    """A file of records, and the video that shows its frames.

    Attributes:
        records: JSON lines, or the table of frames where there are no lines.
        video: The annotated video, or the annotated picture of a `still`; None if there is none.
        time_base: Seconds per unit of `pts` in the video; None where it begins at its first record.
    """

    records: Path
    video: Path | None
    still: bool = False
    time_base: float | None = None


@dataclass(frozen=True, slots=True)
class ResultSource:
    """A file with results, or a camera with recordings; `clips` are in the order of time.

    Attributes:
        manifest: How they were made; None of a camera whose manifest is missing.
    """

    name: str
    clips: Sequence[RecordedClip]
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """A source's explained frames and detections, as columns.

    The columns of frames have a value for each frame, those of detections for each detection, in
    the order of time; `frame_of` is the frame of each detection.

    Attributes:
        clip: The number of the frame's clip in its source.
        time: Seconds from the source's first frame (of cameras from the clip's first).
        since_first: Seconds from the first record of the clip.
        player: Seconds at which a player of the clip's video shows the frame.
        utc: Seconds since 1970 of capture, NaN for files.
        flicker: As in records, NaN where unknown.
        label: Number of the class in `labels`.
        lift: Of the box's own map where it has one, else of the frame's.
        box: [detections, 4], pixels of the displayed frame.
        track: The detection's track, 0 where it has none.
    """

    labels: Sequence[str]
    clip: Integers
    time: Floats
    since_first: Floats
    player: Floats
    utc: Floats
    flicker: Floats
    frame_of: Integers
    label: Integers
    confidence: Floats
    lift: Floats
    peak_inside: npt.NDArray[np.bool_]
    box: Floats
    track: Integers

    @property
    def frames(self) -> int:
        return len(self.time)

    def counts(self) -> Integers:
        """Return the number of detections of each class in each frame, [frames, classes]."""
        counts = np.zeros((self.frames, len(self.labels)), np.int64)
        np.add.at(counts, (self.frame_of, self.label), 1)
        return counts


def find_sources(folder: Path) -> list[ResultSource]:
    """Find the results of files (by their manifests) and the recordings of cameras below a folder.

    They are sorted by name. Results without records, and what cannot be read, are left out.
    """
    files = (_file_source(folder, path) for path in folder.rglob(f"*{MANIFEST.ending}"))
    found = [source for source in files if source is not None]
    found += _cameras(folder)
    return sorted(found, key=lambda source: source.name)


def load(source: ResultSource) -> FrameTable:
    """Read all records of a source, see `read_records`."""
    columns = _Columns()
    for number, clip in enumerate(source.clips):
        columns.begin(number, clip)
        for record in read_records(clip):
            columns.add(record)
    return columns.table()


def _file_source(folder: Path, path: Path) -> ResultSource | None:
    manifest = read_manifest(path)
    if manifest is None or _records_of(manifest) is None:
        return None
    name = readable(path.relative_to(folder)).removesuffix(MANIFEST.ending)
    return ResultSource(name, [_file_clip(manifest)], manifest)


def _records_of(manifest: Manifest) -> Path | None:
    """Return a file's JSON lines, or where it has none its table of frames."""
    return manifest.outputs.get(_RECORDS) or manifest.outputs.get(FRAMES.kind)


def _file_clip(manifest: Manifest) -> RecordedClip:
    records = _records_of(manifest)
    assert records is not None
    still = bool(manifest.content["source"].get("still"))
    video = manifest.outputs.get(_PICTURE if still else _VIDEO)
    base = float(Fraction(manifest.content["source"].get("time_base", "0/1")))
    return RecordedClip(records, video, still, base)


def _cameras(folder: Path) -> Iterator[ResultSource]:
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        days = sorted(recorded_days(path))
        segments = [segment for day in days for segment in recorded_segments(path, day)]
        clips = [RecordedClip(s.records, s.video) for s in segments if s.records.is_file()]
        if clips:
            manifest = read_manifest(path / f"{path.name}{MANIFEST.ending}")
            yield ResultSource(path.name, clips, manifest)


def read_records(clip: RecordedClip) -> Iterator[dict[str, Any]]:
    """Yield a clip's records, in the form of the schema "record".

    Lines that are no records, as at the end of a file that is being written, are left out, and so
    is what cannot be read.

    Raises:
        UsageError: They are Parquet, and pyarrow is not installed.
    """
    tables = clip.records.name.endswith(FRAMES.ending)
    try:
        yield from (read_record_tables if tables else _read_lines)(clip.records)
    except (OSError, SinkError):
        return


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                record = orjson.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "cam" in record:
                yield record


class _Columns:
    """Collects records, and makes a table of them."""

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}
        self._frames: list[tuple[float, ...]] = []
        self._detections: list[tuple[float, ...]] = []
        self._clip = 0
        self._time_base: float | None = None
        self._first: dict[str, Any] | None = None

    def begin(self, number: int, clip: RecordedClip) -> None:
        self._clip, self._time_base, self._first = number, clip.time_base, None

    def add(self, record: dict[str, Any]) -> None:
        self._first = self._first or record
        flicker = record["cam"]["flicker"]
        moment = record.get("time_utc")
        frame = len(self._frames)
        since_first = record["time"] - self._first["time"]
        self._frames.append(
            (
                self._clip,
                record["time"],
                since_first,
                self._start() + since_first,
                np.nan if moment is None else datetime.fromisoformat(moment).timestamp(),
                np.nan if flicker is None else flicker,
            )
        )
        for detection in record["detections"]:
            label = self._labels.setdefault(printable(detection["label"]), len(self._labels))
            focus = detection.get("why") or detection["focus"]
            numbers = (frame, label, detection["confidence"], focus["lift"], focus["peak_inside"])
            track = detection.get("track_id") or 0
            self._detections.append((*numbers, *detection["box"], track))

    def _start(self) -> float:
        """The player's position at the clip's first record: a file's video keeps its timestamps."""
        assert self._first is not None
        base = self._time_base
        return 0.0 if base is None else max(0.0, self._first["pts"] * base)

    def table(self) -> FrameTable:
        frames = np.array(self._frames, np.float64).reshape(-1, 6)
        found = np.array(self._detections, np.float64).reshape(-1, 10)
        return FrameTable(
            labels=tuple(self._labels),
            clip=frames[:, 0].astype(np.int64),
            time=frames[:, 1],
            since_first=frames[:, 2],
            player=frames[:, 3],
            utc=frames[:, 4],
            flicker=frames[:, 5],
            frame_of=found[:, 0].astype(np.int64),
            label=found[:, 1].astype(np.int64),
            confidence=found[:, 2],
            lift=found[:, 3],
            peak_inside=found[:, 4] > 0,
            box=found[:, 5:9],
            track=found[:, 9].astype(np.int64),
        )
