"""Where the feature maps of transformers' detectors are, and how to go on from changed ones.

A detector consists of a backbone (and often an encoder) that makes feature maps of a picture, and a
decoder that makes boxes of those. Between the two it is cut.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from torch import Tensor, nn

BaseModel: TypeAlias = Any
ModelConfig: TypeAlias = Any
"""transformers' models and their configurations share no interface that could be checked."""

Outputs: TypeAlias = Mapping[nn.Module, object]
"""What parts of a model give, whatever goes in."""


class Cut(ABC):
    """Where a base model of one architecture is cut.

    Attributes:
        centre: Where in its stride a cell's centre lies, see `FeatureLevels`.
        backbone: Path of the part that takes the pixels alone and holds most of the weights.
        boxes_on_canvas: Whether boxes are shares of the canvas's sides, else of the image's.
        convolutions: Whether the feature maps come from convolutions alone, whatever the size.
    """

    centre: float
    convolutions: bool = False
    backbone: str = "backbone.model"
    boxes_on_canvas: bool = False

    @abstractmethod
    def layers(self, model: BaseModel) -> Sequence[str]:
        """Paths of the parts of a base model whose outputs are the feature maps."""

    @abstractmethod
    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        """The feature maps, each [batch, channels, rows, columns], of a base model.

        Args:
            model: The base model.
            pixels: Of the canvas, [batch, 3, height, width].
            mask: int64 [batch, height, width], 1 where images are and 0 on the padding.
        """

    @abstractmethod
    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        """What parts of a base model give where its feature maps are these; others need not run."""

    def multiple(self, config: ModelConfig) -> int:
        """Pixels of which the canvas's sides must be multiples."""
        del config
        return 1


# A ResNet's cells look at the beginnings of their strides, and a decoder of deformable attention
# samples them in the middles: the features of trained weights lie between the two.
_BETWEEN = 0.25


class HybridEncoderCut(Cut):
    """RT-DETR, RT-DETRv2 and D-FINE: after the encoder that joins the backbone's levels."""

    centre = _BETWEEN
    boxes_on_canvas = True

    def layers(self, model: BaseModel) -> Sequence[str]:
        del model
        return ["encoder"]

    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        found = model.backbone(pixels, mask)
        projected = [
            project(one) for project, (one, _) in zip(model.encoder_input_proj, found, strict=True)
        ]
        joined: Sequence[Tensor] = model.encoder(projected).last_hidden_state
        return joined

    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        encoded = SimpleNamespace(
            last_hidden_state=list(levels), hidden_states=None, attentions=None
        )
        return {model.backbone: [], model.encoder: encoded}


class UnifiedEncoderCut(Cut):
    """DEIMv2: the same, with the projections in the backbone."""

    centre = _BETWEEN
    backbone = ""
    boxes_on_canvas = True

    def layers(self, model: BaseModel) -> Sequence[str]:
        del model
        return ["encoder"]

    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        del mask
        joined: Sequence[Tensor] = model.encoder(model.conv_encoder(pixels)).feature_maps
        return joined

    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        encoded = SimpleNamespace(feature_maps=list(levels), hidden_states=None, attentions=None)
        return {model.conv_encoder: [], model.encoder: encoded}


class OneLevelCut(Cut):
    """DETR and Conditional DETR: after the projection of the backbone's last level."""

    centre = 0.0
    convolutions = True

    def layers(self, model: BaseModel) -> Sequence[str]:
        del model
        return ["input_projection"]

    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        last, _ = model.backbone(pixels, mask)[-1]
        return [model.input_projection(last)]

    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        return {model.backbone.model: [_shape_of(levels[0])], model.input_projection: levels[0]}


class SeveralLevelsCut(Cut):
    """Deformable DETR: after the projections of the backbone's levels, and of coarser ones."""

    centre = _BETWEEN
    convolutions = True

    def layers(self, model: BaseModel) -> Sequence[str]:
        return [f"input_proj.{index}" for index in range(len(model.input_proj))]

    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        found = [one for one, _ in model.backbone(pixels, mask)]
        projections = list(model.input_proj)
        levels = [
            project(one) for project, one in zip(projections[: len(found)], found, strict=True)
        ]
        source = found[-1]
        for project in projections[len(found) :]:
            source = project(source)
            levels.append(source)
        return levels

    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        own = len(model.backbone.intermediate_channel_sizes)
        given = {model.backbone.model: [_shape_of(level) for level in levels[:own]]}
        return given | dict(zip(model.input_proj, levels, strict=True))


class ProjectorCut(Cut):
    """RF-DETR and LW-DETR: after the projector behind their vision transformer."""

    centre = 0.5
    backbone = "backbone.backbone"

    def layers(self, model: BaseModel) -> Sequence[str]:
        del model
        return ["backbone.projector"]

    def levels(self, model: BaseModel, pixels: Tensor, mask: Tensor) -> Sequence[Tensor]:
        found = model.backbone(pixels, mask)
        # RF-DETR has a single level, with its mask.
        return [found[0]] if isinstance(found, tuple) else [level for level, _ in found]

    def outputs(self, model: BaseModel, levels: Sequence[Tensor]) -> Outputs:
        encoder = model.backbone
        several = hasattr(encoder.projector, "scale_layers")
        nothing = SimpleNamespace(feature_maps=())
        return {
            encoder.backbone: nothing,
            encoder.projector: list(levels) if several else levels[0],
        }

    def multiple(self, config: ModelConfig) -> int:
        vit = config.backbone_config
        windows = getattr(vit, "num_windows_side", getattr(vit, "num_windows", 1))
        return int(vit.patch_size * windows)


CUTS: Mapping[str, Cut] = {
    "conditional_detr": OneLevelCut(),
    "d_fine": HybridEncoderCut(),
    "deformable_detr": SeveralLevelsCut(),
    "deimv2": UnifiedEncoderCut(),
    "detr": OneLevelCut(),
    "lw_detr": ProjectorCut(),
    "rf_detr": ProjectorCut(),
    "rt_detr": HybridEncoderCut(),
    "rt_detr_v2": HybridEncoderCut(),
}
"""By the type of the model, as `config.json` names it."""


def _shape_of(level: Tensor) -> Tensor:
    """A tensor of a level's size that takes no memory, for parts that only look at the size."""
    batch, _, rows, columns = level.shape
    return level.new_zeros(()).expand(batch, 1, rows, columns)
