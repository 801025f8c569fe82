"""A user's own weights: reading them, and giving them to the network that they belong to."""

import json
import pickle
import struct
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from streamcam.errors import (
    StreamcamError,
    UsageError,
    WeightsError,
    WeightsMismatchError,
    WeightsUnavailableError,
)

State = dict[str, Tensor]

# Under which keys training scripts keep the network's weights among other things.
_WRAPPERS = ("model", "state_dict", "model_state_dict")

# What DataParallel and Lightning put before every name.
_PREFIXES = ("module.", "model.")

# What torch raises for a file of something else: its reader takes the bytes for instructions.
_UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)

# How many of many keys a message names.
_NAMED = 3


def not_a_file(weights: Path) -> StreamcamError:
    """Return the error of weights that are no file."""
    if weights.is_dir():
        return UsageError(
            f"{weights} is a folder, not a file with weights",
            hint=f"Name the file in it; a folder of transformers is a model: --model {weights}.",
        )
    return WeightsUnavailableError(f"there is no weights file {weights}")


def read_state(path: Path) -> State:
    """The tensors of a checkpoint by name.

    Reads `.safetensors`, and what `torch.save` wrote (without running any code in it): a state
    dictionary, bare or under "model" or "state_dict".

    Raises:
        WeightsError: The file is missing, truncated, or holds no weights.
        UsageError: It is a folder.
    """
    if not path.is_file():
        raise not_a_file(path)
    loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    while wrapper := next((key for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None):
        loaded = loaded[wrapper]
    state = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(
            f"{path} holds no tensors by name", hint="Save the model's state_dict()."
        )
    return _without_prefix(state)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file: {error}") from error


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            # About old pickles; whether they can be read is what we tell.
            warnings.simplefilter("ignore", UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than weights, or none, and is not opened",
            hint="Save the model's state_dict() alone; a pickled model could run any code.",
        ) from error
    except _UNREADABLE as error:
        # Messages of other kinds are about the bytes that were taken for instructions.
        told = isinstance(error, RuntimeError | OSError) and str(error)
        reason = str(error).splitlines()[0] if told else "it is empty, or something else"
        raise WeightsError(f"{path} is not a whole weights file: {reason}") from error
    if not isinstance(loaded, dict):
        raise WeightsError(
            f"{path} holds a {type(loaded).__name__}, not weights by name",
            hint="Save the model's state_dict().",
        )
    return loaded


def _without_prefix(state: State) -> State:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_state(network: nn.Module, state: State, path: Path, model: str) -> None:
    """Give a network its weights; every tensor must find its place and every place its tensor.

    Raises:
        WeightsMismatchError: They belong to another network. The message names the first keys.
        WeightsError: They are not finite.
    """
    own = network.state_dict()
    sizes = [
        f"{key} is {_size(state[key])} in the file, {_size(own[key])} in the model"
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]
    if sizes:
        raise _mismatch(path, model, f"sizes differ ({_some(sizes)})")
    keys = network.load_state_dict(state, strict=False)
    if keys.missing_keys:
        raise _mismatch(path, model, f"the file lacks {_some(keys.missing_keys)}")
    if keys.unexpected_keys:
        raise _mismatch(path, model, f"the model has no {_some(keys.unexpected_keys)}")
    check_finite(state, path)


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with values that are not finite, which make every output so.

    Raises:
        WeightsError: The message names the tensor.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(
                f"{path}: {name} has values that are not finite (NaN or infinity)",
                hint="The training diverged, or the file is damaged: take an earlier checkpoint.",
            )


def _mismatch(path: Path, model: str, what: str) -> WeightsMismatchError:
    return WeightsMismatchError(
        f"{path} does not fit {model}: {what}",
        hint="Name the detector that the weights were trained with: --model.",
    )


def _size(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "one number"


def _some(items: Iterable[str]) -> str:
    ordered = sorted(items)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def read_labels(path: Path, class_ids: Iterable[int]) -> dict[int, str]:
    """The classes' names from a file: one name a line, or JSON (a list, or an object of id: name).

    A list names the classes in their order. One name less than there are classes is right too where
    class 0 is the background, as torchvision's detectors count.

    Raises:
        WeightsError: The file cannot be read, or does not fit the number of classes.
    """
    ids = sorted(class_ids)
    names = parse_labels(path)
    if isinstance(names, dict):
        unknown = sorted(names.keys() - set(ids))
        if unknown:
            raise WeightsError(
                f"{path} names class {unknown[0]}, and the model's classes are "
                f"{ids[0]} to {ids[-1]}"
            )
        return {i: names.get(i, unnamed(i)) for i in ids}
    if len(names) == len(ids) - 1 and ids[0] == 0:
        names = ["background", *names]
    if len(names) != len(ids):
        raise WeightsError(
            f"{path} has {len(names)} names for {len(ids)} classes",
            hint="One name for each class in order; the background may be left out.",
        )
    return dict(zip(ids, names, strict=True))


def unnamed(class_id: int) -> str:
    return f"class {class_id}"


def parse_labels(path: Path) -> list[str] | dict[int, str]:
    """The classes' names of a file as it tells them, see `read_labels`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".json":
            return [line.strip() for line in text.splitlines() if line.strip()]
        parsed = json.loads(text)
        if isinstance(parsed, list):
            return [str(name) for name in parsed]
        return {int(key): str(name) for key, name in parsed.items()}
    except OSError as error:
        raise WeightsError(f"the labels {path} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read as labels: {error}",
            hint='One name a line, or JSON: {"1": "person", "2": "car"}.',
        ) from error
