"""What an audit found, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamcam.audit.gradcam_comparison import Comparison
from streamcam.types import Detection, Frame, HeatMap


@dataclass(frozen=True, slots=True)
class Scores:
    """What one method (or baseline) reached, as means over the boxes that were explained.

    Attributes:
        deletion: Share of the box's score that is left while its hottest places are covered, area
            under the curve; lower is better.
        insertion: The same while they are uncovered; higher is better.
        road: (LeRF - MoRF) / 2 with the holes filled in, of the score's share; higher is better.
        pointing: Share of the maps whose maximum lies in the true box; None without truth.
        energy: Share of the map's sum inside the true box; None without truth.
        lift: Energy over the true box's share of the frame's area; None without truth.
        flicker: Mean absolute change of the frame's map from one frame of a clip to the next; None
            without a clip.
        seconds: What a map took, in the middle; for EigenCAM on top of the ordinary forward.
        similarity: Correlation, without its sign, with the map of the same network with shuffled
            weights.
        sane: Whether the map depends on what the network has learnt (`similarity` is low).
    """

    deletion: float
    insertion: float
    road: float
    pointing: float | None
    energy: float | None
    lift: float | None
    flicker: float | None
    seconds: float
    similarity: float
    sane: bool


@dataclass(frozen=True, slots=True)
class Visibility:
    """In one map of a whole frame, the share of its boxes that hold a quarter of its maximum.

    Attributes:
        every: With all pyramid levels summed.
        one: With the coarsest level alone, as the published recipe for detectors has it.
    """

    every: float
    one: float


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One box with all its maps, for people.

    Attributes:
        frame: The frame.
        detection: The box.
        maps: By method and baseline.
        together: By method, one map for the whole frame: of all levels, and of one.
    """

    frame: Frame
    detection: Detection
    maps: Mapping[str, HeatMap]
    together: Mapping[str, tuple[HeatMap, HeatMap]]


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """What an audit found.

    Attributes:
        frames: How many frames had boxes to explain.
        boxes: How many boxes were explained.
        known: How many of them are known to be right.
        methods: By method and baseline, in the order of the flag, baselines last.
        visibility: By gradient method.
        comparison: The notebook's path beside ours.
        published_flicker: Of pytorch_grad_cam's EigenCAM on the same clip; None without one.
        examples: A few boxes with their maps.
    """

    frames: int
    boxes: int
    known: int
    methods: Mapping[str, Scores]
    visibility: Mapping[str, Visibility]
    comparison: Comparison
    published_flicker: float | None
    examples: Sequence[Example]
