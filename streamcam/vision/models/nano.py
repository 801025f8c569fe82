"""`nano`, the small detector that ships with streamcam: building it, its weights file.

The network itself is in `streamcam.vision.models.nano_network`, its training in the `training`
folder of the repository.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from streamcam.errors import StreamcamError, UsageError, WeightsError, WeightsUnavailableError
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.checkpoints import check_finite, not_a_file, read_labels
from streamcam.vision.models.download import Progress, sha256
from streamcam.vision.models.family import LoadedModule, LoadOptions, ModelCard, ModuleFamily
from streamcam.vision.models.names import NANO, NANO_FILE
from streamcam.vision.models.nano_network import Nano, Predictions, boxes_of, places_of
from streamcam.vision.models.network import Candidates, FeatureLevels, Levels, Raw, to_original
from streamcam.vision.models.torch_network import DenseNetwork
from streamcam.vision.models.torchvision_network import sizing_of

NANO_ARCHITECTURE = "nano-2"
"""Changes with every change of the network that old weights do not fit."""

NANO_CATEGORIES: Mapping[int, str] = {
    class_id: name
    for class_id, name in enumerate(
        FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]  # the dataset's list
    )
    if name not in ("__background__", "N/A")
}
"""The 80 classes of COCO: its own ids and names."""

NANO_CONFIDENCE = 0.5
"""The preset: on a video that it never learnt from it finds 97 % of the people with no false one,
and nothing at all on every empty frame; at 0.4 that is 99 % and 96 %."""


# Measured with patches of noise: 0.2 to 0.35 in all levels. Strided convolutions centre cells on
# their first pixel, and training pulls them towards the middle, where boxes are counted from.
NANO_LEVELS = FeatureLevels.of({"0": 8, "1": 16, "2": 32}, centre=0.3)

_SEED = 0


class NanoNetwork(DenseNetwork):
    """`nano`: scores and a box for each cell of each level."""

    module: Nano

    def predictions(self, levels: Levels) -> Raw:
        logits, sides = self.module.head.convolve(list(levels.values()))
        return {"logits": logits, "sides": sides}

    def completed(self, predictions: Raw, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        del placements
        return {**predictions, "places": places_of(list(levels.values()))}

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        sizes = [placement.resized for placement in placements]
        found = self.module.candidates(Predictions(**raw), sizes, threshold)
        return [
            Candidates(to_original(own.boxes, placement), own.scores, own.class_ids)
            for own, placement in zip(found, placements, strict=True)
        ]

    @property
    def overlap(self) -> float:
        return self.module.nms_thresh

    def places(self, raw: Raw) -> tuple[Tensor, Tensor]:
        return boxes_of(raw["sides"], raw["places"]), raw["logits"].sigmoid()


class NanoFamily(ModuleFamily):
    """The built-in detector."""

    def names(self) -> Sequence[str]:
        return [NANO]

    def levels(self, name: str) -> FeatureLevels:
        del name
        return NANO_LEVELS

    def load_module(self, name: str, options: LoadOptions) -> LoadedModule:
        del name
        weights, labels = options.weights, options.labels
        if weights == "random":
            if labels is not None:
                raise UsageError("labels belong to weights, and random weights know no classes")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                return LoadedModule(Nano(NANO_CATEGORIES), NANO_CATEGORIES, "random", None)
        path = NANO_FILE if weights is None else weights
        if not path.is_file():
            raise _missing(weights)
        try:
            module = load_nano(path)
        except (ValueError, OSError) as error:
            raise WeightsError(f"these are no weights for nano: {error}") from error
        named = module.categories if labels is None else read_labels(labels, module.categories)
        origin = path.name if weights is None else str(path)
        return LoadedModule(module, named, origin, sha256(path))

    def network(self, name: str, loaded: LoadedModule, options: LoadOptions) -> NanoNetwork:
        del name
        assert isinstance(loaded.module, Nano)
        return NanoNetwork(
            loaded.module,
            sizing=sizing_of(loaded.module.transform),
            levels=NANO_LEVELS,
            categories=loaded.categories,
            confidence=NANO_CONFIDENCE,
            suppress=loaded.module.nms_thresh,
            options=options,
            heads=("head",),
        )

    def card(self, name: str) -> ModelCard:
        present = NANO_FILE.is_file()
        return ModelCard(
            name=name,
            classes=len(NANO_CATEGORIES),
            size_mb=round(NANO_FILE.stat().st_size / 1e6, 1) if present else 0.0,
            licence="Apache-2.0",
            input_size="384 to 672",
            speed="fast",
            origin="built in",
            present=present,
        )

    def weights_file(self, name: str) -> Path:
        del name
        return NANO_FILE

    def fetch(self, name: str, progress: Progress | None = None) -> Path:
        del progress
        self.load_module(name, LoadOptions())
        return NANO_FILE

    def recognise(self, checkpoint: Path) -> list[str]:
        if checkpoint.suffix != ".safetensors" or not checkpoint.is_file():
            return []
        try:
            with safe_open(checkpoint, framework="pt") as content:
                architecture = (content.metadata() or {}).get("architecture")
        except (SafetensorError, OSError):
            return []
        return [NANO] if architecture == NANO_ARCHITECTURE else []


def _missing(weights: Path | None) -> StreamcamError:
    if weights is not None:
        return not_a_file(weights)
    return WeightsUnavailableError(
        f"the built-in detector's weights are missing from this installation: {NANO_FILE}",
        hint="Install streamcam again.",
    )


def load_nano(
    path: Path, *, min_size: int = 384, max_size: int = 672, score_thresh: float = 0.05
) -> Nano:
    """A detector, ready to evaluate, with the weights and classes of a file.

    Raises `ValueError` for a file that is damaged or not of this detector, `OSError` for one that
    cannot be read, `WeightsError` for weights that are not finite.
    """
    tensors, metadata = read_nano(path)
    categories = _categories(path, metadata)
    model = Nano(categories, min_size=min_size, max_size=max_size, score_thresh=score_thresh)
    own = nano_state(model)
    wrong = {name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape}
    wrong |= own.keys() ^ tensors.keys()
    if wrong:
        raise ValueError(f"{path}: not {NANO_ARCHITECTURE} weights (at {min(wrong)!r})")
    check_finite(tensors, path)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
    return model.eval()


def read_nano(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A weights file's tensors and its metadata.

    The metadata is `architecture`, `categories`, `licence`, `origin` and `training`. Raises what
    `load_nano` raises.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    if metadata.get("architecture") != NANO_ARCHITECTURE:
        found = metadata.get("architecture", "none named")
        raise ValueError(f"{path}: architecture is {found}, not {NANO_ARCHITECTURE}")
    return tensors, metadata


def _categories(path: Path, metadata: Mapping[str, str]) -> dict[int, str]:
    try:
        categories = json.loads(metadata["categories"])
        return {int(key): str(name) for key, name in categories.items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: its metadata names no categories") from error


def nano_state(model: Nano) -> dict[str, Tensor]:
    """Parameters and buffers by name; a convolution that levels share is there once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
