"""From a detector's name and a choice of weights to a network that is ready to look."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from streamcam.errors import UsageError, WeightsError, WeightsUnavailableError
from streamcam.vision.models.checkpoints import (
    State,
    count_classes,
    load_state,
    read_labels,
    read_state,
    unnamed,
)
from streamcam.vision.models.download import Progress, published_file, sha256
from streamcam.vision.models.names import NANO
from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.nano_network import Nano
from streamcam.vision.models.registry import NANO_FILE, ModelSpec

WeightsChoice = Path | Literal["random"] | None

_SEED = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network and where its weights are from.

    Attributes:
        network: Evaluates, on the CPU, in float32.
        classes: Names by class id, as the network counts.
        weights: The weights' file, by name if published and by path if the user's; or "random".
        sha256: Of that file, None for random weights.
    """

    network: nn.Module
    classes: Mapping[int, str]
    weights: str
    sha256: str | None


def load_detector(
    spec: ModelSpec,
    weights: WeightsChoice = None,
    labels: Path | None = None,
    progress: Progress | None = None,
) -> Loaded:
    """Build a detector and give it weights: published, the user's, or random ones.

    Raises:
        UsageError: Labels were given for random weights.
        WeightsError: The weights or the labels cannot be used.
    """
    if weights == "random":
        if labels is not None:
            raise UsageError("labels belong to weights, and random weights know no classes")
        return Loaded(_random(spec), spec.categories, "random", None)
    if weights is not None and not weights.is_file():
        raise WeightsUnavailableError(f"there is no weights file {weights}")
    if spec.name == NANO:
        return _load_nano(weights, labels)
    if weights is None:
        path, digest = published_file(spec.published.url, spec.name, progress)
        name = path.name
    else:
        path, digest, name = weights, _digest(weights), str(weights)
    state = read_state(path)
    network = _build_for(spec, state)
    load_state(network, state, path, spec.name)
    if spec.batch_norm_eps is not None and digest.startswith(spec.published_digest):
        _set_batch_norm_eps(network, spec.batch_norm_eps)
    return Loaded(network, _name_classes(spec, state, labels), name, digest)


def _random(spec: ModelSpec) -> nn.Module:
    """The same random weights every time, for benchmarks and tests."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = spec.build()
    return network.fuse() if isinstance(network, Nano) else network


def _build_for(spec: ModelSpec, state: State) -> nn.Module:
    """The network with as many classes and key points as a checkpoint has."""
    sizes: dict[str, int] = {}
    classes = count_classes(state)
    if classes is not None:
        sizes["num_classes"] = classes
    points = state.get("roi_heads.keypoint_predictor.kps_score_lowres.weight")
    if points is not None and spec.name.startswith("keypoint"):
        sizes["num_keypoints"] = points.shape[1]
    return spec.build(**sizes)


def _set_batch_norm_eps(network: nn.Module, eps: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps


def _name_classes(spec: ModelSpec, state: State, labels: Path | None) -> dict[int, str]:
    count = count_classes(state) or len(spec.categories)
    if labels is not None:
        return read_labels(labels, range(count))
    if count == len(spec.categories):
        return dict(spec.categories)
    return {i: unnamed(i) for i in range(count)}


def _load_nano(weights: Path | None, labels: Path | None) -> Loaded:
    path = NANO_FILE if weights is None else weights
    if weights is None and not path.is_file():
        raise WeightsUnavailableError(
            f"the built-in detector's weights are missing from this installation: {path}",
            hint="Install streamcam again.",
        )
    try:
        network = load_nano(path)
    except (ValueError, OSError) as error:
        raise WeightsError(f"these are no weights for nano: {error}") from error
    classes = network.categories if labels is None else read_labels(labels, network.categories)
    name = path.name if weights is None else str(path)
    return Loaded(network.fuse(), classes, name, sha256(path))


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
