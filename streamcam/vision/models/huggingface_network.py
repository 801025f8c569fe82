"""Detectors of transformers as networks of ours: all give boxes and logits of queries."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from streamcam.errors import UsageError
from streamcam.vision.cam.geometry import Letterbox, Size
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.huggingface_layers import Layers, as_grid, watching
from streamcam.vision.models.huggingface_levels import Cut, Outputs
from streamcam.vision.models.network import (
    Candidates,
    FeatureLevels,
    Levels,
    Raw,
    Sizing,
    to_original,
)
from streamcam.vision.models.network_graph import Named, NetworkGraph, joined, pixels_alone, split
from streamcam.vision.models.processor_sizing import ImageProcessor
from streamcam.vision.models.torch_network import TorchNetwork


class QueryNetwork(TorchNetwork):
    """A detector of queries: `ForObjectDetection` of transformers.

    Args:
        module: It gives `logits` [batch, queries, classes] and `pred_boxes` [batch, queries, 4]:
            centre, width and height, as shares of the image or the canvas. With one logit more than
            there are classes, the last one is "nothing" of a softmax; otherwise each class has a
            sigmoid of its own, and a query may be several objects.
        centre: Where in its stride a cell's centre lies, in every level; their strides are measured
            by a trial.
        boxes_on_canvas: Whether the shares are the canvas's.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        sizing: Sizing,
        categories: Mapping[int, str],
        options: LoadOptions,
        centre: float,
        heavy: Sequence[str] = (),
        boxes_on_canvas: bool = False,
    ) -> None:
        thaw_batch_norms(module)
        self._boxes_on_canvas = boxes_on_canvas
        self._takes_mask = "pixel_mask" in inspect.signature(module.forward).parameters
        super().__init__(
            module,
            sizing=sizing,
            levels=FeatureLevels({}, centre, "", ""),
            categories=categories,
            options=options,
            heavy=heavy,
        )
        self.levels = self._measured(centre)

    def run(self, pixels: Tensor, mask: Tensor) -> Raw:
        """The raw outputs for a canvas; the mask tells where images are."""
        masks = {"pixel_mask": mask} if self._takes_mask else {}
        outputs = self.module(pixel_values=pixels, **masks)
        return {"logits": outputs.logits.float(), "boxes": outputs.pred_boxes.float()}

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        scores, class_ids, queries = self._scores(raw["logits"])
        boxes = box_convert(raw["boxes"], "cxcywh", "xyxy")
        found = []
        for index, placement in enumerate(placements):
            wanted = scores[index] > threshold
            own = boxes[index, queries[index, wanted]]
            found.append(
                Candidates(
                    self._to_original(own, placement),
                    scores[index, wanted],
                    class_ids[index, wanted],
                )
            )
        return found

    def graph(self) -> NetworkGraph | None:
        return None

    def _measured(self, centre: float) -> FeatureLevels:
        canvas = self.sizing.trial_canvas
        with torch.inference_mode():
            found = self.features(torch.zeros(1, 3, *canvas, device=self.device))
        return FeatureLevels.of(
            {
                name: (canvas[0] / level.shape[2], canvas[1] / level.shape[3])
                for name, level in found.items()
            },
            centre,
        )

    def _scores(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of each image, falling, with their classes and queries: [batch, count] each."""
        _, queries, classes = logits.shape
        if classes > len(self.categories):
            scores, class_ids = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
            scores, order = scores.sort(dim=1, descending=True)
            return scores, class_ids.gather(1, order), order
        scores, index = logits.sigmoid().flatten(1).topk(queries, dim=1)
        return scores, index % classes, index // classes

    def _to_original(self, boxes: Tensor, placement: Letterbox) -> Tensor:
        height, width = placement.canvas if self._boxes_on_canvas else placement.original
        boxes = boxes * boxes.new_tensor([width, height, width, height])
        return to_original(boxes, placement) if self._boxes_on_canvas else boxes


class CutNetwork(QueryNetwork):
    """A detector that is cut between its feature maps and its decoder, see `Cut`.

    The decoder always computes in float32.
    """

    def __init__(self, module: nn.Module, cut: Cut, **settings: Any) -> None:  # noqa: ANN401
        self._cut = cut
        heavy = [f"model.{cut.backbone}"] if cut.backbone else []
        super().__init__(
            module,
            heavy=heavy,
            centre=cut.centre,
            boxes_on_canvas=cut.boxes_on_canvas,
            **settings,
        )

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        levels = self._levels(canvas, mask_of(placements, canvas.device))
        return self.heads(
            {name: level.float() for name, level in levels.items()}, placements
        ), levels

    def features(self, canvas: Tensor) -> Levels:
        size = (canvas.shape[2], canvas.shape[3])
        placements = [Letterbox(size, size, size)] * len(canvas)
        return self._levels(canvas, mask_of(placements, canvas.device))

    def heads(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        own = list(levels.values())
        mask = mask_of(placements, own[0].device)
        pixels = own[0].new_zeros(()).expand(len(own[0]), 3, *placements[0].canvas)
        # transformers keeps the decoder's anchors for the next time. Made in inference mode, they
        # could not take part in a backward pass then.
        gradients = torch.is_grad_enabled()
        with (
            torch.inference_mode(mode=False),
            torch.set_grad_enabled(gradients),
            giving(self._cut.outputs(self.module.model, own)),
        ):
            return self.run(pixels, mask)

    def graph(self) -> NetworkGraph | None:
        """All of it where pictures fill its only canvas, whose size the decoder makes constants of.

        Elsewhere the feature maps, if those are convolutions' alone.
        """
        canvas = _only_canvas(self.sizing)
        if canvas is not None:
            return NetworkGraph(
                model=_FullCanvas(self),
                trial=canvas,
                canvas=canvas,
                inputs=pixels_alone,
                results=lambda runs, _: split(runs[0])[::-1],
            )
        if not self._cut.convolutions:
            return None
        return NetworkGraph(
            model=_FeatureMaps(self),
            trial=self.sizing.trial_canvas,
            inputs=pixels_alone,
            results=self._results,
        )

    def _results(
        self, runs: Sequence[Named], placements: Sequence[Letterbox]
    ) -> tuple[Raw, Levels]:
        levels, _ = split(runs[0])
        return self.heads(levels, placements), levels

    def _levels(self, canvas: Tensor, mask: Tensor) -> Levels:
        with self.autocast():
            levels = self._cut.levels(self.module.model, canvas, mask)
        return {str(index): level for index, level in enumerate(levels)}


class _FeatureMaps(nn.Module):
    """The part of a network before its cut, in float32."""

    def __init__(self, network: CutNetwork) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return joined(self._network.features(pixels), {})


class _FullCanvas(_FeatureMaps):
    """A network for pictures that fill the canvas, in float32."""

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        size = (pixels.shape[2], pixels.shape[3])
        raw, levels = self._network.forward(pixels, [Letterbox(size, size, size)] * len(pixels))
        return joined(levels, raw)


class WatchedNetwork(QueryNetwork):
    """A detector that is run as a whole, in float32; its feature maps are layers' outputs."""

    def __init__(self, module: nn.Module, layers: Layers, **settings: Any) -> None:  # noqa: ANN401
        self._layers = layers
        super().__init__(module, centre=layers.centre, **settings)
        self.differentiable = self.replayable = False

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        with watching(self.module, self._layers.names) as given:
            raw = self.run(canvas, mask_of(placements, canvas.device))
        size = (canvas.shape[2], canvas.shape[3])
        return raw, {name: self._grid(name, given[name], size) for name in self._layers.names}

    def features(self, canvas: Tensor) -> Levels:
        size = (canvas.shape[2], canvas.shape[3])
        return self.forward(canvas, [Letterbox(size, size, size)] * len(canvas))[1]

    def _grid(self, name: str, output: object, canvas: tuple[int, int]) -> Tensor:
        grid = as_grid(output, canvas, self._layers.others)
        if grid is None:
            raise UsageError(
                f"the layer {name} gives no feature map", hint="Name another with --layer."
            )
        # The raw outputs may be made of the same memory, which the caller may overwrite.
        return grid.clone()


class PublishedDetector(nn.Module):
    """A model of transformers and its image processor as they are, with torchvision's interface.

    Attributes:
        levels: A part whose output is the feature maps by level, of every forward pass.
    """

    def __init__(self, model: Any, processor: ImageProcessor, cut: Cut) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model
        self.levels = nn.Identity()
        self._processor = processor
        self._found: list[Tensor] = []
        for path in cut.layers(model.model):
            model.model.get_submodule(path).register_forward_hook(self._record)

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """The boxes, labels and scores of images, float [3, height, width], 0..1."""
        self._found.clear()
        pictures = [(image * 255).round().to(torch.uint8) for image in images]
        inputs = self._processor(images=pictures, return_tensors="pt").to(self.model.device)
        outputs = self.model(**inputs)
        self.levels({str(index): level for index, level in enumerate(self._found)})
        sizes = [picture.shape[1:] for picture in pictures]
        found: list[dict[str, Tensor]] = self._processor.post_process_object_detection(
            outputs, threshold=0.0, target_sizes=sizes
        )
        return found

    def _record(self, _part: nn.Module, _inputs: object, output: Any) -> None:  # noqa: ANN401
        maps = getattr(output, "last_hidden_state", getattr(output, "feature_maps", output))
        self._found += maps if isinstance(maps, list) else [maps]


def _only_canvas(sizing: Sizing) -> Size | None:
    """The canvas that every picture fills; None where it depends on the picture."""
    wide, high = sizing.resized((100, 300)), sizing.resized((300, 100))
    whole = not any(side % sizing.multiple for side in wide)
    return wide if wide == high and whole and sizing.canvas in {None, wide} else None


def mask_of(placements: Sequence[Letterbox], device: torch.device) -> Tensor:
    """Where images are on a canvas: int64 [batch, height, width], 1 there and 0 elsewhere."""
    mask = torch.zeros((len(placements), *placements[0].canvas), dtype=torch.int64, device=device)
    for own, placement in zip(mask, placements, strict=True):
        (top, left), (rows, columns) = placement.offset, placement.resized
        own[top : top + rows, left : left + columns] = 1
    return mask


@contextmanager
def giving(outputs: Outputs) -> Iterator[None]:
    """Let parts of a model give prepared outputs instead of running."""
    for part, output in outputs.items():
        part.forward = lambda *_args, _output=output, **_options: _output
    try:
        yield
    finally:
        for part in outputs:
            del part.forward


def thaw_batch_norms(module: nn.Module) -> None:
    """Replace frozen batch norms by ordinary ones, in place, so that they can be folded.

    Not only for speed: on a CPU torch 2.14 gives wrong gradients for a batch norm in evaluation
    mode whose output is transposed afterwards, as all these decoders do.
    """
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if type(part).__name__.endswith("FrozenBatchNorm2d"):
                setattr(parent, name, _thawed(part))


def _thawed(frozen: nn.Module) -> nn.BatchNorm2d:
    state = frozen.state_dict()
    # Frozen ones of transformers have torch's default epsilon.
    thawed = nn.BatchNorm2d(len(state["weight"]))
    thawed.load_state_dict(state, strict=False)
    return thawed.eval()
