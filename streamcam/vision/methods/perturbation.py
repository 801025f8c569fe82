"""Maps without gradients: what becomes of the scores when something is taken away.

Every changed input is looked at once for all targets of a picture; pytorch_grad_cam looks at it
once for each. The channels' magnitudes are what is weighed, as in that package's recipe for
detectors (`fasterrcnn_reshape_transform`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.grid import Pyramid
from streamcam.vision.methods.saved_activations import Group, SavedActivations
from streamcam.vision.methods.targets import scores_of
from streamcam.vision.models.torchvision import Detector
from streamcam.vision.models.torchvision_partial import Found

Floats = npt.NDArray[np.float32]
Channel: TypeAlias = tuple[str, int]
"""A level's name and the number of a channel in it."""

LEAST = 0.01
"""Score from which weakened boxes are still seen; below it they count as vanished."""

# nano has 192 channels in all. ResNet pyramids have 1280, each of which would cost a pass of the
# heads or of the whole network: for them the channels of the largest magnitudes are tried.
_MOST_CHANNELS = 256

# Of changed activations or pictures at once: 16 copies of nano's, 4 of a ResNet's at full size.
_CHUNK_BYTES = 384e6
_LARGEST_CHUNK = 16

_TINY = 1e-6

Weights: TypeAlias = Callable[
    [Detector, SavedActivations, Sequence[Group], Sequence[Channel]], Floats
]


def channel_maps(
    detector: Detector,
    kept: SavedActivations,
    groups: Sequence[Group],
    weigh: Weights,
    centre: float,
) -> tuple[Pyramid, dict[str, Tensor]]:
    """Maps by level for every group of one picture's targets, [groups, rows, columns].

    Args:
        detector: What found the targets.
        kept: What is left of its ordinary forward of the picture.
        groups: Each gets a map.
        weigh: How the channels are weighed for each group.
        centre: Where in its stride a cell's centre lies.
    """
    pyramid = kept.pyramid(0, centre)
    channels = _strongest(pyramid)
    weights = weigh(detector, kept, groups, channels)
    maps = {}
    for name, level in pyramid.levels.items():
        own = np.zeros((len(groups), level.shape[0]), np.float32)
        for place, (owner, channel) in enumerate(channels):
            if owner == name:
                own[:, channel] = weights[:, place]
        weighed = torch.from_numpy(own).to(level.device)
        maps[name] = torch.einsum("gc,chw->ghw", weighed, level.abs())
    return pyramid, maps


def ablation_weights(
    detector: Detector, kept: SavedActivations, groups: Sequence[Group], channels: Sequence[Channel]
) -> Floats:
    """The share of the score that is lost without a channel (Desai and Ramaswamy 2020, WACV).

    Channels are set to zero, as in the paper; pytorch_grad_cam's `AblationLayerFasterRCNN` sets
    them to -1000, by which two in five of nano's channels make a box vanish.

    Returns:
        [groups, channels], 1 where the box vanishes.
    """
    least = _least(groups)
    whole = _group_scores(detector.go_on(kept.levels, kept.placements, least), groups)
    lost = []
    for some in _chunks(channels, _bytes(kept.levels)):
        levels = without_channels(kept.levels, some)
        placements = [kept.placements[0]] * len(some)
        lost.append(whole - _group_scores(detector.go_on(levels, placements, least), groups))
    shares = np.concatenate(lost) / np.maximum(whole, _TINY)
    return shares.T.astype(np.float32)


def score_weights(
    detector: Detector, kept: SavedActivations, groups: Sequence[Group], channels: Sequence[Channel]
) -> Floats:
    """The scores where only a channel's places are shown (Score-CAM, Wang et al. 2020, CVPRW).

    Returns:
        [groups, channels], softmax over the channels.
    """
    canvas, placement = detector.canvas(kept.pictures[0])
    least = _least(groups)
    scores = []
    for some in _chunks(channels, canvas.nbytes):
        masks = torch.stack([_mask(kept.levels[name][0, c], placement) for name, c in some])
        found = detector.look_again(canvas * masks[:, None], [placement] * len(some), least)
        scores.append(_group_scores(found, groups))
    weights = torch.from_numpy(np.concatenate(scores)).softmax(dim=0)
    return weights.numpy().T


def without_channels(
    levels: Mapping[str, Tensor], channels: Sequence[Channel], value: float = 0.0
) -> dict[str, Tensor]:
    """Copies of one picture's activations, in each of which one channel has a constant value.

    Args:
        levels: Each [1, channels, rows, columns].
        channels: One for every copy.
        value: What the channel is set to.

    Returns:
        Each [copies, channels, rows, columns]; levels that keep all their channels are views.
    """
    changed = {name for name, _ in channels}
    copies = {}
    for name, level in levels.items():
        copies[name] = level.expand(len(channels), -1, -1, -1)
        if name in changed:
            copies[name] = copies[name].clone()
    for place, (name, channel) in enumerate(channels):
        copies[name][place, channel] = value
    return copies


def _strongest(pyramid: Pyramid) -> list[Channel]:
    """The channels of the largest mean magnitudes, level by level."""
    means = {name: level.abs().mean(dim=(1, 2)) for name, level in pyramid.levels.items()}
    every = torch.cat(list(means.values()))
    least = every.topk(min(_MOST_CHANNELS, len(every))).values.min()
    return [
        (name, int(channel))
        for name, mean in means.items()
        for channel in torch.nonzero(mean >= least).flatten()
    ]


def _least(groups: Sequence[Group]) -> float:
    """Score from which boxes are made: lower than usual where a target's own is low."""
    return min(LEAST, *(target.score / 2 for group in groups for target in group))


def _chunks(channels: Sequence[Channel], size: float) -> Iterator[list[Channel]]:
    """The channels in groups whose copies, of `size` bytes each, fit into memory."""
    count = int(min(_LARGEST_CHUNK, max(1, _CHUNK_BYTES // size)))
    rest = iter(channels)
    while some := list(islice(rest, count)):
        yield some


def _bytes(levels: Mapping[str, Tensor]) -> int:
    return sum(level.nbytes for level in levels.values())


def _mask(channel: Tensor, placement: Letterbox) -> Tensor:
    """A channel's magnitude over the whole canvas, from 0 at its least to 1 at its largest."""
    spread = torch.nn.functional.interpolate(
        channel.abs()[None, None], placement.canvas, mode="bilinear", align_corners=True
    )[0, 0]
    low, high = spread.min(), spread.max()
    return (spread - low) / (high - low).clamp(min=1e-8)


def _group_scores(found: Sequence[Found], groups: Sequence[Group]) -> Floats:
    """[results, groups]: each group's targets' scores together."""
    return np.stack(
        [scores_of(found, [target.box for target in group]).sum(axis=1) for group in groups],
        axis=1,
    )
