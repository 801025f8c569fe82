"""From a user's settings to an engine that is ready to explain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
import torchvision

from streamcam.cam_methods import EIGENCAM, METHODS, CamMethod, PerturbationFormula, find_method
from streamcam.errors import UsageError, WeightsError, did_you_mean
from streamcam.fingerprint import sha256_of
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cpu.tuning import prefers_bfloat16
from streamcam.vision.devices import (
    DTYPES,
    choose_device,
    choose_precision,
    describe_device,
    loading_errors,
    uses_openvino,
)
from streamcam.vision.engine import Engine
from streamcam.vision.engine_io import EngineDescription
from streamcam.vision.engine_options import CamOptions, ModelOptions, ResolvedModel, resolve
from streamcam.vision.methods.attribution import Attribution, MapMaker
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.download import Progress
from streamcam.vision.models.family import (
    Family,
    Loaded,
    LoadedModule,
    LoadOptions,
)
from streamcam.vision.models.network import Network
from streamcam.vision.models.registry import find_family
from streamcam.vision.models.torch_network import TorchNetwork

_NAMED = 5
"""Of many classes those that a message names."""


def build_engine(
    model: ModelOptions, cam: CamOptions, *, progress: Progress | None = None, fuse: bool = True
) -> Engine:
    """Build a detector with its weights on a device, and the engine around it.

    Raises:
        UsageError: There is no such model, device, precision, class or method, or the model has not
            what the method needs.
        WeightsError: The weights cannot be used.
        WeightsUnavailableError: The weights are neither here nor can they be fetched.
        DeviceError: The GPU is missing, failed, or has no room.
    """
    find_method(cam.method)
    resolved = resolve(model)
    model = replace(model, device=resolved.device, precision=resolved.precision)
    in_openvino = uses_openvino(model.device, model.precision)
    device = choose_device("cpu" if in_openvino else model.device)
    options = LoadOptions(
        weights=resolved.weights,
        labels=resolved.labels,
        device=device,
        dtype=DTYPES[_torch_precision(model, device, in_openvino=in_openvino)],
        fuse=fuse,
        progress=progress,
        imgsz=model.imgsz,
        layer=resolved.layer,
        layout=resolved.layout,
        trust=model.trust,
    )
    family = find_family(resolved.architecture)
    _check_options(model, family)
    with loading_errors(model.name):
        loaded = _load(family, resolved, options)
        network = _in_openvino(loaded, model) if in_openvino else loaded.network
        _check_precision(model, network)
        check_method(cam.method, network, model.name)
        keep = _class_ids(model.classes, network.categories, model.name) if model.classes else None
        threshold = network.confidence if model.confidence is None else model.confidence
        detector = Detector(network, threshold)
        if model.precision == "auto":
            _confirm_precision(detector)
        description = EngineDescription(
            model=model.name,
            weights=loaded.weights,
            weights_sha256=loaded.sha256,
            classes=network.categories,
            method=cam.method,
            device=network.device_name or describe_device(device),
            precision=_PRECISIONS[network.dtype],
            confidence=threshold,
            grid=cam.grid,
            batch=model.batch,
            versions={"torch": torch.__version__, "torchvision": torchvision.__version__},
            preset=network.confidence,
            labels_sha256=sha256_of(resolved.labels),
            replayed=_replayed(cam.method, network),
            quantization=None if resolved.quantized is None else resolved.quantized.lineage,
        )
        eigencam = EigenCam(network.levels, cam.grid)
        attribution = _attribution(detector, eigencam, cam)
        return Engine(detector, eigencam, description, keep=keep, attribution=attribution)


def load_module(model: ModelOptions) -> LoadedModule | None:
    """A detector's torch module as it was published; None if its family has no such modules.

    Raises:
        UsageError: There is no such model.
        WeightsError: The weights cannot be used, or are neither here nor can be fetched.
    """
    resolved = resolve(model)
    options = LoadOptions(
        weights=resolved.weights, labels=resolved.labels, imgsz=model.imgsz, trust=model.trust
    )
    return find_family(resolved.architecture).published(resolved.architecture, options)


def file_digests(model: ModelOptions) -> tuple[str | None, str | None]:
    """Return the SHA-256 of a model's files of weights and of labels, without loading them.

    None stands for a file that there is not, or that only loading finds. Raises as `build_engine`
    does for a name or files that cannot be used.
    """
    resolved = resolve(model)
    architecture, file = resolved.architecture, resolved.weights
    if resolved.quantized is not None:
        return resolved.quantized.sha256, sha256_of(resolved.labels)
    if file == "random":
        return None, None
    if file is None:
        file = find_family(architecture).weights_file(architecture)
    return sha256_of(file), sha256_of(resolved.labels)


def _load(family: Family, resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """Load a model, and name the files of its int8 model where that is to be used."""
    loaded = family.load(resolved.architecture, options)
    quantized = resolved.quantized
    if quantized is None:
        return loaded
    quantized.check()
    if loaded.sha256 != quantized.source_sha256:
        raise WeightsError(
            f"the weights of {resolved.architecture} are no longer those that "
            f"{quantized.graph} was made of",
            hint="Quantize it again: streamcam models quantize.",
        )
    return replace(loaded, int8=quantized.graph, sha256=quantized.sha256)


def _torch_precision(
    model: ModelOptions, device: torch.device, *, in_openvino: bool
) -> Literal["fp32", "fp16", "bf16"]:
    """That of the network, or of the part that torch computes of it beside OpenVINO."""
    if in_openvino:
        return "fp32" if model.precision == "fp32" else choose_precision("auto", device)
    return choose_precision(model.precision, device)


def _in_openvino(loaded: Loaded, model: ModelOptions) -> Network:
    from streamcam.vision.models.openvino.load_openvino import load_openvino

    return load_openvino(loaded, model.name, model.device, model.precision)


def _replayed(method: str, network: Network) -> str | None:
    return "fp32" if network.replays_in_float32 and METHODS[method].replays else None


_PRECISIONS = {dtype: name for name, dtype in DTYPES.items()}


def _confirm_precision(detector: Detector) -> None:
    """Take bfloat16 back where it was only a guess and does not pay."""
    network = detector.network
    if not isinstance(network, TorchNetwork) or network.dtype != torch.bfloat16:
        return
    if not prefers_bfloat16(detector, network):
        network.stay_in_float32()


def _attribution(detector: Detector, eigencam: EigenCam, cam: CamOptions) -> Attribution | None:
    if cam.method == EIGENCAM:
        return None
    maker = MapMaker(detector, cam.method, eigencam.levels.grids)
    return Attribution(maker, explain=cam.explain, every=cam.why_every, top=cam.why_top)


def _check_options(model: ModelOptions, family: Family) -> None:
    given = {"layer": bool(model.layer), "layout": model.layout != "auto"}
    for option in given.keys() - family.takes:
        if given[option]:
            raise UsageError(f"{model.name} takes no --{option}", hint="Leave it out.")


def _check_precision(model: ModelOptions, network: Network) -> None:
    own = _PRECISIONS[network.dtype]
    if model.precision not in {"auto", own}:
        raise UsageError(
            f"{model.name} computes in {own} only, not in {model.precision}",
            hint="Leave --precision out.",
        )


def check_method(name: str, network: Network, model: str) -> None:
    """Refuse a method that needs what a network has not.

    Raises:
        UsageError: There is no such method, or the network has it not; the hint names those that
            it has.
    """
    if not _has(network, find_method(name)):
        raise UsageError(
            f"{model} has no method {name!r}: it gives no gradients or cannot be run from its "
            "feature maps",
            hint=f"It has {', '.join(methods_of(network))}.",
        )


def choose_methods(wanted: Sequence[str], network: Network, model: str) -> list[str]:
    """Those of the wanted methods, or all that a network has; raises what `check_method` raises."""
    for name in wanted:
        check_method(name, network, model)
    return [name for name in methods_of(network) if not wanted or name in wanted]


def methods_of(network: Network) -> list[str]:
    """The names of the methods that a network has what is needed for."""
    return [name for name, method in METHODS.items() if _has(network, method)]


def _has(network: Network, method: CamMethod) -> bool:
    if method.gradient_formula is not None:
        return network.differentiable
    formula = method.formula
    if isinstance(formula, PerturbationFormula) and formula.perturb == "activations":
        return network.replayable
    return True


def _some_of(classes: Iterable[str]) -> str:
    """Return which classes there are, for a hint."""
    names = sorted(classes)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"It has {', '.join(names[:_NAMED])}{more}."


def _class_ids(wanted: Sequence[str], classes: Mapping[int, str], model: str) -> frozenset[int]:
    ids: set[int] = set()
    for label in wanted:
        matches = {i for i, name in classes.items() if name.casefold() == label.casefold()}
        if not matches:
            raise UsageError(
                f"{model} has no class {label!r}",
                hint=did_you_mean(label, classes.values()) or _some_of(classes.values()),
            )
        ids |= matches
    return frozenset(ids)
