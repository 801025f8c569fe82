"""Small detectors of transformers, with the same random weights every time."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.huggingface import network_of
from streamcam.vision.models.huggingface_network import QueryNetwork

LABELS = {0: "person", 1: "car", 2: "dog"}

_LEVELS = ["stage2", "stage3", "stage4"]
_ENCODER = {"d_model": 32, "encoder_layers": 1, "encoder_ffn_dim": 32, "encoder_attention_heads": 2}
_DECODER = {"decoder_layers": 2, "decoder_ffn_dim": 32, "num_queries": 20, "id2label": LABELS}
_DETR = _ENCODER | _DECODER | {"decoder_attention_heads": 2}
_HYBRID = _DETR | {
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [16, 24, 32],
    "decoder_in_channels": [32, 32, 32],
    "num_denoising": 0,
}
_VIT = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 4}
_PROJECTED = _DECODER | {
    "d_model": 32,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "group_detr": 1,
    "c2f_num_blocks": 1,
}
_FIT = {"shortest_edge": 160, "longest_edge": 240}
_STRETCH = {"height": 192, "width": 192}


def _resnet(kind: str, levels: list[str]) -> Any:
    import transformers

    return getattr(transformers, kind)(
        embedding_size=8,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=levels,
    )


def _hgnet() -> Any:
    import transformers

    return transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 24],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        embedding_size=8,
        out_indices=[2, 3, 4],
    )


def _dinov2() -> Any:
    from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config

    return RfDetrDinov2Config(
        **_VIT, image_size=112, patch_size=14, num_windows=2, out_indices=[2, 4]
    )


def _lw_vit() -> Any:
    import transformers

    return transformers.LwDetrViTConfig(
        **_VIT,
        image_size=128,
        pretrain_image_size=128,
        num_windows=4,
        window_block_indices=[0, 2],
        out_indices=[2, 4],
    )


# By the type of the model: its backbone, what else its configuration has, its processor and sizes.
_DETECTORS: dict[str, tuple[Callable[[], Any] | None, dict[str, Any], str, dict[str, int]]] = {
    "detr": (lambda: _resnet("ResNetConfig", ["stage4"]), _DETR, "Detr", _FIT),
    "conditional_detr": (
        lambda: _resnet("ResNetConfig", ["stage4"]),
        _DETR,
        "ConditionalDetr",
        _FIT,
    ),
    "deformable_detr": (
        lambda: _resnet("ResNetConfig", _LEVELS),
        _DETR | {"num_feature_levels": 4},
        "DeformableDetr",
        _FIT,
    ),
    "rt_detr": (lambda: _resnet("RTDetrResNetConfig", _LEVELS), _HYBRID, "RTDetr", _STRETCH),
    "rt_detr_v2": (lambda: _resnet("RTDetrResNetConfig", _LEVELS), _HYBRID, "RTDetr", _STRETCH),
    "d_fine": (_hgnet, _HYBRID, "RTDetr", _STRETCH),
    "deimv2": (_hgnet, _HYBRID, "RTDetr", _STRETCH),
    "rf_detr": (_dinov2, _PROJECTED, "RfDetr", {"height": 224, "width": 224}),
    "lw_detr": (
        _lw_vit,
        _PROJECTED | {"projector_scale_factors": [2.0, 0.5]},
        "DeformableDetr",
        _STRETCH,
    ),
    # A type that is not known: its layers are searched for.
    "table-transformer": (
        lambda: _resnet("ResNetConfig", ["stage4"]),
        _DETR,
        "Detr",
        _FIT,
    ),
    "yolos": (
        None,
        _VIT
        | {
            "intermediate_size": 32,
            "image_size": [128, 160],
            "num_detection_tokens": 20,
            "id2label": LABELS,
        },
        "Yolos",
        _FIT,
    ),
}

CUT_TYPES = [name for name in _DETECTORS if name not in {"table-transformer", "yolos"}]
TYPES = [*(name for name in CUT_TYPES if name != "deimv2"), "yolos"]
"""Of DEIMv2 with random weights the scores are nearly equal, and features lie anywhere."""


def plain_model(kind: str) -> Any:
    """A model as transformers builds it, whose queries differ, ready to evaluate."""
    import transformers

    backbone, settings, _, _ = _DETECTORS[kind]
    own = settings if backbone is None else settings | {"backbone_config": backbone()}
    config = transformers.AutoConfig.for_model(kind, **own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModelForObjectDetection.from_config(config)
        for weight in model.parameters():
            if weight.dim() == 2:
                nn.init.xavier_uniform_(weight)
            elif weight.dim() == 4:
                _initialize_kernels(weight)
        _calibrate(model)
    return model.eval()


@torch.no_grad()
def _initialize_kernels(weight: nn.Parameter) -> None:
    """Random kernels that are symmetric, so that features lie where they come from."""
    nn.init.kaiming_normal_(weight)
    length = weight.norm()
    weight.add_(weight.flip(-1)).add_(weight.flip(-2))
    weight.mul_(length / weight.norm())


@torch.no_grad()
def _calibrate(model: nn.Module) -> None:
    """Let batch norms keep numbers in their usual range, as training does."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    model.train()(pixel_values=torch.randn(2, 3, 224, 224))


@torch.no_grad()
def without_attention(network: QueryNetwork) -> QueryNetwork:
    """The network, its backbone and encoder looking only at one place at a time."""
    for name, part in network.module.named_modules():
        if name.endswith(("self_attn.o_proj", "attention.output.dense", "attention.o_proj")):
            for weight in part.parameters():
                weight.zero_()
    return network


@cache
def processor(name: str) -> Any:
    import transformers

    _, _, kind, size = _DETECTORS[name]
    return getattr(transformers, f"{kind}ImageProcessor")(size=size)


def save_tiny(name: str, folder: Path) -> Path:
    """Write a model and its processor as transformers does."""
    plain_model(name).save_pretrained(folder)
    processor(name).save_pretrained(folder)
    return folder


def tiny_network(name: str, **options: Any) -> QueryNetwork:
    return network_of(name, plain_model(name), processor(name), LoadOptions(**options))
