"""Value types shared by all packages.

Coordinates are continuous pixels of the displayed frame (rotation and pixel aspect applied):
x to the right, y downwards, (0, 0) the outer corner of the first pixel, (width, height) that of the
last. Pictures are RGB, uint8, [height, width, 3].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from streamcam.errors import StreamcamError
from streamcam.regions import LineCrossing, RegionCounts, ZoneChange

if TYPE_CHECKING:
    from streamcam.urls import StorageUrl

Picture: TypeAlias = npt.NDArray[np.uint8]
"""RGB, uint8, [height, width, 3]."""

HeatMap: TypeAlias = npt.NDArray[np.float32]
"""float32, [rows, columns], values 0..1. Spans the frame from edge to edge, whatever its grid.
Never written to."""

Box: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the displayed frame."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open.

    Attributes:
        id: The source's name in records: a path, a redacted URL, or a camera's name.
        width, height: Of the displayed frame, in pixels.
        time_base: Seconds per unit of a frame's `pts`.
        frame_rate: Mean frames a second, None where unknown or not a video.
        duration: In seconds, None where unknown or endless.
        frame_count: Estimated number of frames, None where unknown or endless.
        live: Whether frames come in real time and cannot wait.
        still: Whether it is a single picture.
        path: The media file, where there is one (its audio can be copied from there).
        reopen: Opens a medium that is no local file once more, for the same purpose.
    """

    id: str
    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction | None = None
    duration: float | None = None
    frame_count: int | None = None
    live: bool = False
    still: bool = False
    path: Path | None = None
    reopen: Callable[[], BinaryIO] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture and its place in its source.

    Attributes:
        index: Number in its source, from 0, in order of presentation.
        pts: Presentation time in units of `time_base` (seconds), as the source gave it.
        time: Seconds from the source's first frame.
        picture: RGB, uint8, [height, width, 3], as displayed. Never written to.
        sampled: Whether the engine explains it; others only pass (full-rate video).
        time_utc: Wall-clock time of capture, for live sources.
        discontinuity: Whether the frame before it is unrelated (start, seek, reconnect).
        arrival: Monotonic seconds when it left the decoder, of live sources when its data came in;
            the age of a map counts from here.
        unchanged: Seconds since the source last gave a picture that differs from this one; 0 for
            one that has just changed, and for files.
    """

    source: str
    index: int
    pts: int
    time_base: Fraction
    time: float
    picture: Picture
    sampled: bool = True
    time_utc: datetime | None = None
    discontinuity: bool = False
    arrival: float = 0.0
    unchanged: float = 0.0


@dataclass(frozen=True, slots=True)
class Focus:
    """How much of the map lies on a detection. It measures localisation, not attribution."""

    energy: float  # share of the map's sum inside the box, 0..1
    lift: float  # energy over the box's share of the frame's area; 1 is no better than chance
    peak_inside: bool  # whether the map's maximum lies in the box


@dataclass(frozen=True, slots=True)
class TrueObject:
    """An object that is known to be in a frame (ground truth).

    Attributes:
        class_id: COCO's number.
        identity: The same for the same object in every frame, and no other's; None where unknown.
    """

    label: str
    class_id: int
    box: Box
    identity: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BoxMap:
    """Why a box got its score, as one method sees it.

    Attributes:
        method: Name of the method that made the map, e.g. "layercam".
        focus: How much of this map lies in the box. Where little does, the method says that the
            score comes from elsewhere, or it cannot tell boxes apart.
        age: Seconds of the source's time since the frame that it was made for; 0 for its own.
    """

    method: str
    map: HeatMap
    focus: Focus
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """One object that the detector found.

    Attributes:
        label, class_id: The model's own name and number of the class.
        confidence: 0..1.
        focus: How much of the frame's map lies in the box.
        why: The map of this box alone, None where none was asked for or is recent enough.
        track_id: The number of the object that it belongs to, from 1 in its source; None where
            objects are not tracked.
        zones: Names of the zones that the object stands in.
    """

    label: str
    class_id: int
    confidence: float
    box: Box
    focus: Focus
    why: BoxMap | None = None
    track_id: int | None = None
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The map of one frame and what is known of it.

    Attributes:
        method: Name of the method that made the map, e.g. "eigencam".
        explained_variance: Share of the first principal component, 0..1; None for methods that have
            none.
        flicker: Mean absolute change since the same method's map before, 0..1; None for its first
            of a shot.
        peak: x, y of the map's maximum, in pixels of the displayed frame.
        has_map: Whether there is one; without it the map is all zeros. The network's feature maps
            were not finite then.
    """

    method: str
    map: HeatMap
    explained_variance: float | None
    flicker: float | None
    peak: tuple[float, float]
    has_map: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """An explained frame: the picture, the detections (most confident first), and the map.

    Attributes:
        new_shot: Whether its picture is unrelated to the one explained before: the first one, after
            a reconnect, after a scene cut.
        zone_changes, line_crossings: What happened since the frame before, where objects are
            tracked.
    """

    frame: Frame
    detections: tuple[Detection, ...]
    explanation: Explanation
    new_shot: bool = False
    zone_changes: tuple[ZoneChange, ...] = ()
    line_crossings: tuple[LineCrossing, ...] = ()


Item: TypeAlias = FrameResult | Frame
"""What is written: an explained frame, or one that was only passed on."""


class Outcome(StrEnum):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a source's frames."""

    decoded: int = 0
    explained: int = 0  # frames that went through the engine and were written
    corrupt: int = 0  # packets or frames that the decoder refused or marked as damaged
    dropped: Mapping[str, int] = field(default_factory=dict)  # frames given up on purpose, by cause
    detections: Mapping[str, int] = field(default_factory=dict)  # written detections, by label
    without_map: int = 0  # explained frames that have no map, see `Explanation.has_map`


ResultPlace: TypeAlias = Union[Path, "StorageUrl"]
"""Where a result lies."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """How the work on one source ended.

    Attributes:
        outputs: The files that were written, by kind ("video", "picture", "records", "manifest").
        seconds: Wall-clock time that the work took.
        media_seconds: Seconds of the source's own time that were covered.
        error: What is wrong; `hint` is what to do about it.
        exit_code: What this outcome contributes to the process's exit code.
        retryable: Whether the same work may succeed later.
        cause: The error itself, for callers that act on its kind.
        engine_key: Digest of what the outputs were made with, see `EngineKey`.
    """

    source: str
    outcome: Outcome
    counts: Counts = field(default_factory=Counts)
    outputs: Mapping[str, ResultPlace] = field(default_factory=dict)
    seconds: float = 0.0
    media_seconds: float = 0.0
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    retryable: bool = False
    cause: StreamcamError | None = None
    engine_key: str | None = None


STANDSTILL_SECONDS = 10.0
"""Seconds without any change of the picture from which on a camera counts as frozen. Noise and
every key frame change some pixels even of an empty yard; key frames come every few seconds."""


class CameraState(StrEnum):
    """How a live source is at this moment."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    """Connected, but no frame came for too long."""
    BACKING_OFF = "backing off"
    """Lost; the next attempt is waited for."""
    FAILED = "failed"
    """Given up: only a change of its settings brings it back."""
    PAUSED = "paused"
    """Disconnected at someone's request, until it is resumed."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Latency:
    """From a frame's data coming in to its result going out, over the last few hundred frames.

    Seconds: the median, the 95th percentile, and the mean time in the decoder (reordering of
    B-frames included).
    """

    p50: float
    p95: float
    decoder: float


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """The status of a camera.

    Attributes:
        url: Where it is read from, without credentials.
        since: Monotonic seconds when it came into that state.
        error: Why it is not live, None while it is; `hint` is what to do about it.
        width, height: Of the last picture, in pixels; 0 before the first.
        codec: What it sends, e.g. "h264"; None before the first connection.
        frame_rate, explained_rate: Frames a second that arrive, and that are explained; measured.
        last_frame_age: Seconds since the last new picture; None before the first.
        counts: What became of its frames since it was added: `decoded` equals `explained` and all
            of `dropped`, but for those on their way.
        killed: Number of readers that hung and were killed.
        latency: None before the first explained frame.
        sink_errors: What is wrong with each of its sinks, None where nothing is; by the sink's
            name, e.g. "recording", "publishing".
        regions: What happened in its zones and at its lines since it was added.
        recording: Whether its recording goes on; None where it has none.
    """

    name: str
    url: str
    state: CameraState
    since: float
    error: str | None = None
    hint: str | None = None
    width: int = 0
    height: int = 0
    codec: str | None = None
    frame_rate: float = 0.0
    explained_rate: float = 0.0
    last_frame_age: float | None = None
    counts: Counts = field(default_factory=Counts)
    reconnects: int = 0
    killed: int = 0
    latency: Latency | None = None
    sink_errors: Mapping[str, str | None] = field(default_factory=dict)
    recording: bool | None = None
    regions: RegionCounts = field(default_factory=RegionCounts)
