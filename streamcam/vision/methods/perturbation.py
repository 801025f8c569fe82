"""Maps without gradients: how the scores change when channels or parts of the image are removed.

One perturbed pass serves all targets of an image; pytorch_grad_cam runs one for each. The channels'
magnitudes are weighted, as in that package's recipe for detectors
(`fasterrcnn_reshape_transform`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from streamcam.cam_methods import PerturbationFormula
from streamcam.vision.cam.geometry import Letterbox, LevelGrids
from streamcam.vision.methods.saved_activations import Pyramid, SavedActivations
from streamcam.vision.methods.targets import Group, scores_of
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Candidates

Channel: TypeAlias = tuple[str, int]
"""A level's name and the number of a channel in it."""

PassProgress: TypeAlias = Callable[[int, int], None]
"""Called between forward passes: how many are done, and how many there are. What it raises ends the
work."""

MIN_SCORE = 0.01
"""Score from which weakened boxes are still detected; below it they count as vanished."""

# nano has 192 channels in all. ResNet pyramids have 1280, each of which would cost a pass of the
# heads or of the whole network: for them the channels of the largest magnitudes are tried.
_MAX_CHANNELS = 256

# Of changed activations or images at once: 16 copies of nano's, 4 of a ResNet's at full size.
_CHUNK_BYTES = 384e6
_MAX_CHUNK = 16
# CPUs gain nothing from large ones: a box's Score-CAM with nano took 12.1 s of processor time by
# fours and 14.4 s by sixteens (medians of five, two cores of an Intel Xeon). And a score that
# somebody waits for can have the network sooner.
_MAX_CPU_CHUNK = 4


def progress_ignored(_done: int, _passes: int) -> None:
    """Take a progress that nobody looks at."""


def perturbation_maps(
    detector: Detector,
    saved: SavedActivations,
    groups: Sequence[Group],
    formula: PerturbationFormula,
    grids: LevelGrids,
    progress: PassProgress = progress_ignored,
) -> tuple[Pyramid, dict[str, Tensor]]:
    """Maps by level for every group of one image's targets, [groups, rows, columns]."""
    pyramid = saved.pyramid(0, grids)
    channels = _strongest_channels(pyramid)
    weights = channel_weights(detector, saved, groups, formula, channels, progress)
    maps = {}
    for name, level in pyramid.levels.items():
        own = torch.zeros(len(groups), level.shape[0])
        for row, (owner, channel) in zip(weights, channels, strict=True):
            if owner == name:
                own[:, channel] = row
        maps[name] = torch.einsum("gc,chw->ghw", own.to(level.device), level.abs())
    return pyramid, maps


def channel_weights(
    detector: Detector,
    saved: SavedActivations,
    groups: Sequence[Group],
    formula: PerturbationFormula,
    channels: Sequence[Channel],
    progress: PassProgress = progress_ignored,
) -> Tensor:
    """The formula's weights of one image's channels, float32 [channels, groups] on the CPU."""
    threshold = min(MIN_SCORE, *(target.score / 2 for group in groups for target in group))
    if formula.perturb == "activations":
        unchanged = detector.detect_from_levels(saved.levels, saved.placements, threshold)
        passes = _without_channels(detector, saved, channels, threshold)
    else:
        canvas, placement = detector.canvas(saved.pictures[0])
        unchanged = detector.detect_on_canvas(canvas, [placement], threshold)
        passes = _masked_images(detector, saved, channels, threshold)
    scores = torch.zeros(len(channels), len(groups))
    done = 0
    progress(done, len(channels))
    for detections in passes:
        scores[done : done + len(detections)] = _group_scores(detections, groups)
        done += len(detections)
        progress(done, len(channels))
    return formula.weigh(_group_scores(unchanged, groups)[0], scores)


def _without_channels(
    detector: Detector, saved: SavedActivations, channels: Sequence[Channel], threshold: float
) -> Iterator[list[Candidates]]:
    size = sum(level.nbytes for level in saved.levels.values())
    for some in _chunks(channels, size, detector.device):
        levels = without_channels(saved.levels, some)
        yield detector.detect_from_levels(levels, [saved.placements[0]] * len(some), threshold)


def _masked_images(
    detector: Detector, saved: SavedActivations, channels: Sequence[Channel], threshold: float
) -> Iterator[list[Candidates]]:
    canvas, placement = detector.canvas(saved.pictures[0])
    for some in _chunks(channels, canvas.nbytes, detector.device):
        masks = torch.stack([_mask(saved.levels[name][0, c], placement) for name, c in some])
        yield detector.detect_on_canvas(canvas * masks[:, None], [placement] * len(some), threshold)


def without_channels(
    levels: Mapping[str, Tensor], channels: Sequence[Channel], value: float = 0.0
) -> dict[str, Tensor]:
    """Copies of one image's activations, in each of which one channel has a constant value.

    They are [copies, channels, rows, columns]; levels that keep all their channels are views.
    """
    changed = {name for name, _ in channels}
    copies = {}
    for name, level in levels.items():
        copies[name] = level.expand(len(channels), -1, -1, -1)
        if name in changed:
            copies[name] = copies[name].clone()
    for index, (name, channel) in enumerate(channels):
        copies[name][index, channel] = value
    return copies


def _strongest_channels(pyramid: Pyramid) -> list[Channel]:
    """The channels of the largest mean magnitudes, level by level."""
    means = {name: level.abs().mean(dim=(1, 2)) for name, level in pyramid.levels.items()}
    every = torch.cat(list(means.values()))
    threshold = every.topk(min(_MAX_CHANNELS, len(every))).values.min()
    return [
        (name, int(channel))
        for name, mean in means.items()
        for channel in torch.nonzero(mean >= threshold).flatten()
    ]


def _chunks(
    channels: Sequence[Channel], size: float, device: torch.device
) -> Iterator[list[Channel]]:
    """The channels in groups whose copies, of `size` bytes each, fit into memory."""
    most = _MAX_CPU_CHUNK if device.type == "cpu" else _MAX_CHUNK
    count = int(min(most, max(1, _CHUNK_BYTES // size)))
    rest = iter(channels)
    while some := list(islice(rest, count)):
        yield some


def _mask(channel: Tensor, placement: Letterbox) -> Tensor:
    """A channel's magnitude over the whole canvas, its range stretched to 0..1."""
    spread = torch.nn.functional.interpolate(
        channel.abs()[None, None], placement.canvas, mode="bilinear", align_corners=True
    )[0, 0]
    low, high = spread.min(), spread.max()
    return (spread - low) / (high - low).clamp(min=1e-8)


def _group_scores(detections: Sequence[Candidates], groups: Sequence[Group]) -> Tensor:
    """[results, groups]: the sum of each group's scores."""
    sums = [scores_of(detections, [t.box for t in group]).sum(axis=1) for group in groups]
    return torch.from_numpy(np.stack(sums, axis=1))
