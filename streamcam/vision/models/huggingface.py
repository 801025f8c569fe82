"""Detectors of Hugging Face's transformers: `hf:ORGANISATION/NAME` of the hub, or a folder."""

import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from torch import nn

from streamcam.errors import StreamcamError, UsageError, WeightsError, WeightsMismatchError
from streamcam.vision.devices import device_errors
from streamcam.vision.models.checkpoints import check_finite, read_labels
from streamcam.vision.models.download import Progress, sha256
from streamcam.vision.models.family import Family, Loaded, LoadedModule, LoadOptions, ModelCard
from streamcam.vision.models.hub import (
    CONFIG,
    EXTRA,
    INDEX,
    PICKLE,
    WEIGHTS,
    HubModel,
    missing_extra,
    no_safetensors,
)
from streamcam.vision.models.huggingface_layers import LAYERS, Layers, check_layers, found_layers
from streamcam.vision.models.huggingface_levels import CUTS
from streamcam.vision.models.huggingface_network import (
    CutNetwork,
    PublishedDetector,
    QueryNetwork,
    WatchedNetwork,
)
from streamcam.vision.models.names import HUGGING_FACE
from streamcam.vision.models.network import Sizing
from streamcam.vision.models.processor_sizing import ImageProcessor, sizing_of

ObjectDetector: TypeAlias = Any
"""A `ForObjectDetection` of transformers: a torch module with a `config`."""

_log = logging.getLogger(__name__)

_SEED = 0

# What transformers raises for files that it cannot use.
_UNUSABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError)


class HuggingFaceFamily(Family):
    """Every model of transformers with an object detection head. Needs the extra `transformers`."""

    takes = frozenset({"layer"})

    def names(self) -> Sequence[str]:
        return ()

    def has(self, name: str) -> bool:
        return _is_of_hub(name) or (Path(name) / CONFIG).is_file()

    def load(self, name: str, options: LoadOptions) -> Loaded:
        folder = self._folder(name, options)
        with _silent(), _explained(name), device_errors():
            network = network_of(name, *_model(name, folder, options), options)
        if options.weights == "random":
            return Loaded(network, "random", None)
        file = _weights_in(folder, trust=options.trust)
        return Loaded(network, name, None if file is None else sha256(file))

    def published(self, name: str, options: LoadOptions) -> LoadedModule | None:
        folder = self._folder(name, options)
        with _silent(), _explained(name):
            module, processor = _model(name, folder, options)
        cut = CUTS.get(module.config.model_type)
        if cut is None or options.imgsz is not None:
            return None
        categories = {int(key): str(label) for key, label in module.config.id2label.items()}
        published = PublishedDetector(module, processor, cut)
        return LoadedModule(published, categories, name, None, watched="levels")

    def card(self, name: str) -> ModelCard:
        file = self.weights_file(name)
        present = file is not None and file.is_file()
        megabytes = round(file.stat().st_size / 1e6, 1) if file is not None and present else 0.0
        return ModelCard(name=name, size_mb=megabytes, origin="Hugging Face", present=present)

    def weights_file(self, name: str) -> Path | None:
        if not _is_of_hub(name):
            return _weights_in(Path(name))
        model = _of_hub(name)
        return model.cached(WEIGHTS) or model.cached(INDEX) or model.cached(PICKLE)

    def fetch(self, name: str, progress: Progress | None = None) -> Path | None:
        if not _is_of_hub(name):
            return _weights_in(Path(name))
        return _weights_in(_of_hub(name).fetch(progress, update=True))

    def _folder(self, name: str, options: LoadOptions) -> Path:
        """The folder with a model's files, fetched if it is on the hub."""
        _check_weights(name, options)
        if not _is_of_hub(name):
            folder = Path(name)
            if options.weights is None and _weights_in(folder, trust=options.trust) is None:
                raise no_safetensors(name)
            return folder
        wanted = options.weights is None
        return _of_hub(name).fetch(options.progress, weights=wanted, trust=options.trust)


def _transformers() -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise missing_extra() from error


def _is_of_hub(name: str) -> bool:
    family, _, model = name.partition(":")
    return family == HUGGING_FACE and bool(model)


def _of_hub(name: str) -> HubModel:
    return HubModel(name.partition(":")[2])


def _weights_in(folder: Path, *, trust: bool = True) -> Path | None:
    names = (WEIGHTS, INDEX, PICKLE) if trust else (WEIGHTS, INDEX)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _check_weights(name: str, options: LoadOptions) -> None:
    if isinstance(options.weights, Path):
        raise UsageError(
            f"{name} has its own weights, and --weights {options.weights} does not belong to it",
            hint="Put them into a folder with its config.json, and name that with --model.",
        )
    if options.weights == "random" and options.labels is not None:
        raise UsageError("labels belong to weights, and random weights know no classes")


def _model(name: str, folder: Path, options: LoadOptions) -> tuple[ObjectDetector, ImageProcessor]:
    """A model and its image processor."""
    processor = _transformers().AutoImageProcessor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return _module(name, folder, options), processor


def _module(name: str, folder: Path, options: LoadOptions) -> nn.Module:
    """The model in float32 on the CPU, all of its weights from its files."""
    transformers = _transformers()
    own = {"local_files_only": True, "trust_remote_code": False}
    if options.weights == "random":
        config = transformers.AutoConfig.from_pretrained(folder, **own)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            built: nn.Module = transformers.AutoModelForObjectDetection.from_config(config)
        return built.eval()
    module, report = transformers.AutoModelForObjectDetection.from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=not options.trust or _weights_in(folder, trust=False) is not None,
        output_loading_info=True,
        **own,
    )
    lost = sorted(report["missing_keys"])
    if lost:
        raise WeightsMismatchError(
            f"the weights of {name} lack {len(lost)} tensors of its detector, e.g. {lost[0]}",
            hint="It was made for another task than object detection, or its files are damaged.",
        )
    loaded: nn.Module = module
    check_finite(dict(loaded.named_parameters()), folder)
    return loaded


def network_of(
    name: str,
    module: ObjectDetector,
    processor: ImageProcessor,
    options: LoadOptions,
) -> QueryNetwork:
    """The network of a model, which is taken over."""
    config = module.config
    categories = {int(key): str(label) for key, label in config.id2label.items()}
    if options.labels is not None:
        categories = read_labels(options.labels, categories)
    cut = None if options.layer else CUTS.get(config.model_type)
    # RT-DETR and its kin may have been made for one size.
    fixed = getattr(config, "anchor_image_size", None)
    multiple = getattr(config, "patch_size", 1) if cut is None else cut.multiple(config)
    sizing: Sizing = sizing_of(processor, multiple, fixed and (fixed[0], fixed[1]))
    if options.imgsz is not None:
        sizing = sizing.at(options.imgsz)
    if cut is not None:
        return CutNetwork(module, cut, sizing=sizing, categories=categories, options=options)
    others = getattr(config, "num_detection_tokens", 0)
    if options.layer:
        layers = Layers(options.layer, others)
    elif config.model_type in LAYERS:
        layers = Layers(LAYERS[config.model_type], others, centre=0.5)
    else:
        layers = found_layers(module, others, sizing.trial_canvas)
        _log.warning(
            "%s is of a type (%s) that streamcam does not know: its maps are made of %s, found by "
            "shape; --layer names others",
            *(name, config.model_type, ", ".join(layers.names)),
        )
    check_layers(module, layers.names)
    options = replace(options, dtype=torch.float32)
    return WatchedNetwork(module, layers, sizing=sizing, categories=categories, options=options)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what transformers raises for files that it cannot use into errors of ours."""
    try:
        yield
    except (StreamcamError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(f"{name} needs more packages: {first}", hint=f"Run {EXTRA}.") from error
    except _UNUSABLE as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(f"{name} cannot be used: {first}") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Without transformers' own progress bars and reports on stderr."""
    logs = _transformers().logging
    level, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
