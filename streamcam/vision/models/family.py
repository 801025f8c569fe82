"""A detector family: models of one kind, how their weights are found, and how they are loaded."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from streamcam.vision.models.download import Progress
from streamcam.vision.models.network import FeatureLevels, Network

WeightsChoice: TypeAlias = Path | Literal["random"] | None
"""A checkpoint, the same random weights every time, or None for the published (built-in) ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a model is loaded."""

    weights: WeightsChoice = None
    labels: Path | None = None  # names of the classes of `weights`: one a line, or JSON
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32  # the type of its convolutions
    fuse: bool = True  # fuse convolutions where that is quicker, see `TorchNetwork`
    progress: Progress | None = None
    imgsz: int | None = None  # pixels of the longer side of the input; None for the model's own
    layer: Sequence[str] = ()  # the layers to explain; empty for those that the family finds
    layout: str = "auto"  # what the outputs of an ONNX file are
    trust: bool = False  # whether files that can run code while they are read may be opened


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network on its device, and where its weights are from."""

    network: Network
    weights: str  # the file, by name if published and by path if the user's; or "random"
    sha256: str | None  # of that file
    int8: Path | None = None  # the same weights quantized: OpenVINO's .xml, its .bin beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One detector in a list of them."""

    name: str
    task: str = "object detection"  # what it was made for; streamcam uses its boxes
    classes: int = 0  # kinds of things it detects; 0 where that is not known before loading
    size_mb: float = 0.0  # its weights' file, in megabytes
    licence: str = ""  # of the published weights
    box_map: float | None = None  # COCO val2017 box mAP as published, in per cent
    input_size: str = ""  # to what an image is resized, in pixels
    speed: str = ""  # "fast", "medium" or "slow", by its arithmetic for an image
    origin: str = ""  # "built in", "torchvision", "imported" or a plug-in's name
    present: bool = True  # whether the weights are here


class Family(ABC):
    """Models of one kind; see `registry` for how other distributions bring one.

    Attributes:
        takes: Those of the options `layer` and `layout` that its models have a use for.
    """

    takes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The models' names, as users write them."""

    def has(self, name: str) -> bool:
        """Whether there is a model of this name; more than `names` where not all can be named."""
        return name in self.names()

    @abstractmethod
    def load(self, name: str, options: LoadOptions) -> Loaded:
        """Load one of them.

        Raises:
            UsageError: The options do not fit the model.
            WeightsError: The weights or the labels cannot be used.
            WeightsUnavailableError: The weights are neither here nor can they be fetched.
        """

    def published(self, name: str, options: LoadOptions) -> "LoadedModule | None":
        """A model's torch module as it was published, on the CPU; None if there is none such.

        For comparison only. Raises what `load` raises.
        """
        del name, options
        return None

    def card(self, name: str) -> ModelCard:
        """What people want to know of a model before they choose it."""
        return ModelCard(name=name)

    def weights_file(self, name: str) -> Path | None:
        """Where a model's published weights are, or would be; None where it has no file.

        Its SHA-256 is the one that `load` reports: results that are there are compared by it.
        """
        del name
        return None

    def fetch(self, name: str, progress: Progress | None = None) -> Path | None:
        """Fetch a model's published weights unless they are here, and check them.

        Raises:
            WeightsUnavailableError: They cannot be fetched.
            WeightsError: The file that is here is damaged.
        """
        del progress
        return self.weights_file(name)

    def recognise(self, checkpoint: Path) -> list[str]:
        """The models that a checkpoint may belong to.

        Raises:
            WeightsError: The file cannot be read.
        """
        del checkpoint
        return []


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A torch module of torchvision's interface and where its weights are from.

    Attributes:
        module: Takes a list of images, float32 [3, height, width], 0..1, and gives a dictionary of
            boxes, scores and labels for each. Evaluating, on the CPU, in float32.
        categories: Class names by class id.
        watched: Path of the part whose output is the feature maps by level.
    """

    module: nn.Module
    categories: Mapping[int, str]
    weights: str
    sha256: str | None
    watched: str = "backbone"


class ModuleFamily(Family):
    """A family of torch modules with torchvision's interface, which other tools can use too."""

    @abstractmethod
    def load_module(self, name: str, options: LoadOptions) -> LoadedModule:
        """Load a model's module, on the CPU; raises what `load` raises."""

    @abstractmethod
    def levels(self, name: str) -> FeatureLevels:
        """The feature maps that the backbone of a model's module gives."""

    @abstractmethod
    def network(self, name: str, loaded: LoadedModule, options: LoadOptions) -> Network:
        """Make a network of a module, which is taken over."""

    def published(self, name: str, options: LoadOptions) -> LoadedModule:
        """A model's module, with the input size that the options ask for."""
        loaded = self.load_module(name, options)
        if options.imgsz is not None:
            _resize_input(loaded.module.transform, options.imgsz)
        return loaded

    def load(self, name: str, options: LoadOptions) -> Loaded:
        loaded = self.published(name, options)
        return Loaded(self.network(name, loaded, options), loaded.weights, loaded.sha256)


def _resize_input(transform: GeneralizedRCNNTransform, side: int) -> None:
    """Make the longer side of what torchvision's preprocessing gives `side` pixels."""
    transform.min_size, transform.max_size = (side,), side
    if transform.fixed_size is not None:
        transform.fixed_size = (side, side)
