"""Ultralytics' YOLO detectors as networks of streamcam, those with suppression and without."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import (
    Candidates,
    FeatureLevels,
    Levels,
    Raw,
    Sizing,
    to_original,
)
from streamcam.vision.models.torch_network import TorchNetwork

if TYPE_CHECKING:
    from ultralytics.nn.modules import Detect
    from ultralytics.nn.tasks import DetectionModel

Source: TypeAlias = int | Sequence[int]
"""Indices of the layers whose outputs a layer takes; -1 for the one before it."""

# Ultralytics' own settings for prediction.
CONFIDENCE = 0.25
SUPPRESS = 0.7
PADDING = 114
MAX_DETECTIONS = 300

# Where in its stride a cell's centre lies. Its convolutions of stride 2 begin at the first pixel (0
# with random weights), and training pulls towards the middle, where boxes are counted from: 0.35,
# 0.31 and 0.40 at the strides 8, 16 and 32 of a trained YOLOv8n.
CENTRE = 0.35


class Backbone(nn.Module):
    """A model's layers up to its head: backbone and neck.

    Args:
        model: Each of its layers says by `f` whose outputs it takes, see `Source`.
        names: Of the levels that the head takes.
    """

    def __init__(self, model: "DetectionModel", names: Sequence[str]) -> None:
        super().__init__()
        layers = list(model.model)
        self.layers = nn.ModuleList(layers[:-1])
        self._sources: list[Source] = [layer.f for layer in layers]
        self._saved = frozenset(model.save)
        self._names = names

    def forward(self, canvas: Tensor) -> dict[str, Tensor]:
        outputs: list[Tensor | None] = []
        last = canvas
        for index, layer in enumerate(self.layers):
            last = layer(_inputs(self._sources[index], outputs, last))
            outputs.append(last if index in self._saved else None)
        levels = _inputs(self._sources[-1], outputs, last)
        return dict(zip(self._names, levels, strict=True))


def _inputs(
    source: Source, outputs: Sequence[Tensor | None], last: Tensor
) -> Tensor | list[Tensor]:
    if not isinstance(source, int):
        return [_input(one, outputs, last) for one in source]
    return _input(source, outputs, last)


def _input(source: int, outputs: Sequence[Tensor | None], last: Tensor) -> Tensor:
    found = last if source == -1 else outputs[source]
    assert found is not None
    return found


class Head(nn.Module):
    """The branches of a `Detect` module that predict.

    They are called directly: in training, and in some of Ultralytics' versions always, its own
    forward detaches the levels before the branches of end-to-end heads.
    """

    def __init__(self, detect: "Detect") -> None:
        super().__init__()
        branches = detect.one2one if detect.end2end else detect.one2many
        self.boxes, self.classes = branches["box_head"], branches["cls_head"]

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Distances [batch, 4 * bins, cells], and classes' logits [batch, classes, cells]."""
        distances = [branch(level) for branch, level in zip(self.boxes, levels, strict=True)]
        logits = [branch(level) for branch, level in zip(self.classes, levels, strict=True)]
        return _joined(distances), _joined(logits)


def _joined(maps: Sequence[Tensor]) -> Tensor:
    return torch.cat([one.flatten(2) for one in maps], dim=-1)


class YoloModule(nn.Module):
    """A `DetectionModel` of Ultralytics, its batch norms folded, as backbone and head."""

    def __init__(self, model: "DetectionModel", names: Sequence[str]) -> None:
        super().__init__()
        model.fuse(verbose=False)
        self.backbone = Backbone(model, names)
        self.head = Head(model.model[-1])


class UltralyticsNetwork(TorchNetwork):
    """A YOLO detector: class scores and the distances to a box's sides for each cell.

    Args:
        model: A `DetectionModel` whose head is a `Detect`; it is taken over. If the head's
            `end2end` is set, boxes come from the branches that give each object once.
        image_size: Pixels of the longer side of its input.
    """

    module: YoloModule

    def __init__(
        self,
        model: "DetectionModel",
        image_size: int,
        categories: Mapping[int, str],
        options: LoadOptions,
    ) -> None:
        detect = model.model[-1]
        strides = [float(stride) for stride in detect.stride]
        levels = FeatureLevels.of(
            {f"p{round(math.log2(stride))}": stride for stride in strides}, CENTRE
        )
        self._end_to_end = bool(detect.end2end)
        super().__init__(
            YoloModule(model, list(levels.strides)),
            sizing=Sizing(
                shortest=image_size,
                longest=image_size,
                multiple=int(max(strides)),
                pad=PADDING,
                centred=True,
                nearest=True,
                rounded=True,
            ),
            levels=levels,
            categories=categories,
            confidence=CONFIDENCE,
            suppress=None if self._end_to_end else SUPPRESS,
            options=options,
            heads=("head",),
        )

    def predictions(self, levels: Levels) -> Raw:
        distances, logits = self.module.head(list(levels.values()))
        return {"distances": distances, "logits": logits}

    def completed(self, predictions: Raw, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        del placements
        centres, strides = self._cells(levels)
        return {**predictions, "centres": centres, "strides": strides}

    def _cells(self, levels: Levels) -> tuple[Tensor, Tensor]:
        """Of all levels' cells the centres (x, y), [2, cells], in strides, and these, [cells]."""
        centres, strides = [], []
        for name, level in levels.items():
            rows, columns = (torch.arange(n, device=level.device) + 0.5 for n in level.shape[-2:])
            ys, xs = torch.meshgrid(rows, columns, indexing="ij")
            centres.append(torch.stack([xs.flatten(), ys.flatten()]))
            strides.append(torch.full_like(centres[-1][0], self.levels.strides[name][0]))
        return torch.cat(centres, dim=-1), torch.cat(strides)

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        return [
            self._decode(raw, index, placement, threshold)
            for index, placement in enumerate(placements)
        ]

    def _decode(self, raw: Raw, index: int, placement: Letterbox, threshold: float) -> Candidates:
        scores = raw["logits"][index].sigmoid()
        if self._end_to_end:
            class_ids, cells = _best_pairs(scores, threshold)
        else:
            class_ids, cells = _best_classes(scores, threshold)
        before, after = _mean_distances(raw["distances"][index][:, cells]).chunk(2)
        centres = raw["centres"][:, cells]
        corners = torch.cat([centres - before, centres + after]) * raw["strides"][cells]
        return Candidates(to_original(corners.T, placement), scores[class_ids, cells], class_ids)


def _mean_distances(distances: Tensor) -> Tensor:
    """Distances to the left, upper, right and lower side, in cells, [4, count].

    Each is given as such, or as logits of a distribution over whole cells, [4 * bins, count]
    (generalized focal loss, Li et al. 2020, https://arxiv.org/abs/2006.04388).
    """
    bins = distances.shape[0] // 4
    if bins == 1:
        return distances
    shares = distances.reshape(4, bins, distances.shape[1]).softmax(dim=1)
    cells = torch.arange(bins, dtype=shares.dtype, device=shares.device)
    return (shares * cells[:, None]).sum(dim=1)


def _best_pairs(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Classes and cells of the best scores, falling; a cell may have several."""
    count = min(MAX_DETECTIONS, scores.shape[1], int((scores > threshold).sum()))
    places = scores.flatten().topk(count).indices
    return places // scores.shape[1], places % scores.shape[1]


def _best_classes(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The best class of each cell whose score is above the threshold, and the cell."""
    best, class_ids = scores.max(dim=0)
    cells = (best > threshold).nonzero().flatten()
    return class_ids[cells], cells
