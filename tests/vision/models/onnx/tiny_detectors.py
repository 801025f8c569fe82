"""Small detectors of the common kinds, written as ONNX files."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from streamcam.vision.devices import computing_threads

CLASSES = 3
ANY_SIZE = {0: "batch", 2: "height", 3: "width"}


def conv(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(layer, nn.SiLU())


class Neck(nn.Module):
    """Feature maps of strides 8, 16 and 32; the finer ones have heard of the coarser."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, stride=2), conv(8, 8, stride=2), conv(8, 8, stride=2))
        self.down4, self.down5 = conv(8, 8, stride=2), conv(8, 8, stride=2)
        self.join4, self.join3 = conv(16, 8), conv(16, 8)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        c3 = self.stem(pixels)
        c4 = self.down4(c3)
        p5 = self.down5(c4)
        p4 = self.join4(torch.cat([c4, nn.functional.interpolate(p5, size=c4.shape[2:])], 1))
        p3 = self.join3(torch.cat([c3, nn.functional.interpolate(p4, size=c3.shape[2:])], 1))
        return [p3, p4, p5]


class Yolo8(nn.Module):
    """Two branches of the head, joined and flattened: [batch, 4 + classes, places]."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = Neck()
        self.boxes = nn.ModuleList(nn.Sequential(conv(8, 8), nn.Conv2d(8, 4, 1)) for _ in range(3))
        self.scores = nn.ModuleList(
            nn.Sequential(conv(8, 8), nn.Conv2d(8, CLASSES, 1)) for _ in range(3)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        rows = []
        for level, box, score, stride in zip(
            self.neck(pixels), self.boxes, self.scores, (8, 16, 32), strict=True
        ):
            y = torch.arange(level.shape[2]).reshape(1, 1, -1, 1).expand_as(level[:, :1])
            x = torch.arange(level.shape[3]).reshape(1, 1, 1, -1).expand_as(level[:, :1])
            sides, grid = box(level), torch.cat([x, y], 1)
            centre, size = (grid + sides[:, :2].sigmoid()), sides[:, 2:].exp()
            all_of = torch.cat([centre * stride, size * stride, score(level).sigmoid()], 1)
            rows.append(all_of.flatten(2))
        return torch.cat(rows, 2)


class Bytes(nn.Module):
    """The same for pictures as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.yolo = made(Yolo8)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.yolo(pictures.float() / 255)


class Query(nn.Module):
    """Levels flattened for a decoder that looks at all of them, as DETR's kin do."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = Neck()
        self.project = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(3))
        self.queries = nn.Parameter(torch.randn(10, 8))
        self.logits, self.boxes = nn.Linear(8, CLASSES), nn.Linear(8, 4)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        levels = zip(self.neck(pixels), self.project, strict=True)
        tokens = torch.cat([project(level).flatten(2) for level, project in levels], 2)
        # As many queries as a level has rows, so that attention looks like a feature map.
        attention = (self.queries @ tokens).softmax(dim=2)
        found = attention @ tokens.transpose(1, 2)
        return self.logits(found), self.boxes(found).sigmoid()


class Patches(nn.Module):
    """Patches of 14 pixels become tokens and a grid again, with one output for each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 14, 14)
        self.mix = nn.Linear(8, 8)
        self.logits, self.boxes = nn.Linear(8, CLASSES), nn.Linear(8, 4)

    def features(self, pixels: Tensor) -> Tensor:
        cells = self.patches(pixels)
        tokens = self.mix(cells.flatten(2).transpose(1, 2)).relu()
        return tokens.transpose(1, 2).reshape(cells.shape)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.features(pixels).flatten(2).transpose(1, 2)[:, :10]
        return self.logits(tokens), self.boxes(tokens).sigmoid()


def made(kind: type[nn.Module]) -> nn.Module:
    """A module with the same weights every time, none negative in the neck: responses are local."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = kind().eval()
    for name, weight in module.named_parameters():
        if name.startswith("neck") and weight.ndim == 4:
            weight.data = weight.data.abs() / weight.data.abs().mean() / weight[0].numel()
    return module


def write(
    module: nn.Module,
    path: Path,
    *,
    size: tuple[int, int] = (128, 160),
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
    outputs: Sequence[str] = ("output0",),
    dynamic: Mapping[int, str] | None = None,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write a module as an ONNX file with an input "images"."""
    axes = {"images": dict(dynamic), **{o: {0: "batch"} for o in outputs}} if dynamic else {}
    with warnings.catch_warnings(), computing_threads(1):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            ((torch.rand(batch, 3, *size) * 255).to(dtype),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes=axes,
        )
    if notes:
        model = onnx.load(path)
        onnx.helper.set_model_props(model, dict(notes))
        onnx.save(model, path)
    return path
