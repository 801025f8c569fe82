"""An ONNX file: reading it, its inputs, and sessions that run it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from onnx.inliner import inline_local_functions
from onnx.numpy_helper import to_array

from streamcam.errors import UsageError, WeightsError, WeightsUnavailableError
from streamcam.vision.models.onnx.graph_parts import ELEMENT_TYPES

_DTYPES = {int(number): dtype for dtype, number in ELEMENT_TYPES.items()}

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)

# The longest reason that a message repeats from a library.
_REASON = 200

# What ONNX Runtime says first: file, line and function, all without a space before a sentence.
_SOURCE_PLACE = re.compile(r"^\S+\.(?:cc|h):\d+ .*?\)(?: const)? (?=[A-Z])")


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or an output of a graph, as the file declares it."""

    name: str
    dtype: torch.dtype | None  # None for types that are not used here
    shape: tuple[int | None, ...] | None  # None for sizes that are known only when it runs

    @classmethod
    def of(cls, value: onnx.ValueInfoProto) -> "GraphTensor":
        declared = value.type.tensor_type
        sizes = tuple(side.dim_value if side.dim_value > 0 else None for side in declared.shape.dim)
        shape = sizes if declared.HasField("shape") else None
        return cls(value.name, _DTYPES.get(declared.elem_type), shape)

    def describe(self) -> str:
        dtype = "?" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        sides = ["?"] if self.shape is None else ["?" if n is None else str(n) for n in self.shape]
        return f"{self.name} {dtype} [{', '.join(sides)}]"


class OnnxFile:
    """An ONNX file with its weights, also those kept in files beside it.

    Attributes:
        model: Without functions of its own: they are written out.
        metadata: What the exporter noted.

    Raises:
        UsageError: It is a folder.
        WeightsUnavailableError: There is no such file.
        WeightsError: It is not an ONNX file, or not a whole one.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, not an ONNX file")
        if not path.is_file():
            raise WeightsUnavailableError(f"there is no file {path}")
        self.path = path
        with _reading(path):
            bare = onnx.load(path, load_external_data=False)
            self._beside = _files_beside(bare)
            self.model = onnx.load(path) if self._beside else bare
            if self.model.functions:
                self.model = inline_local_functions(self.model)
        if not self.model.graph.node:
            raise WeightsError(f"{path} is not an ONNX file, or an empty one")
        _check_numbers(self.model, path)
        self.metadata: Mapping[str, str] = {
            entry.key: entry.value for entry in self.model.metadata_props
        }

    @cached_property
    def sha256(self) -> str:
        """Of the file, and of the files beside it that hold its weights, one after the other."""
        digest = hashlib.sha256(self.path.read_bytes())
        for name in self._beside:
            digest.update((self.path.parent / name).read_bytes())
        return digest.hexdigest()

    @property
    def inputs(self) -> list[GraphTensor]:
        """What has to be given; old files list their weights among the inputs."""
        weights = {weight.name for weight in self.model.graph.initializer}
        values = [value for value in self.model.graph.input if value.name not in weights]
        return [GraphTensor.of(value) for value in values]

    @property
    def outputs(self) -> list[GraphTensor]:
        return [GraphTensor.of(value) for value in self.model.graph.output]

    @property
    def weight_count(self) -> int:
        return sum(
            int(np.prod(weight.dims))
            for weight in self.model.graph.initializer
            if weight.data_type in {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
        )

    @property
    def opset(self) -> int:
        return max(
            (entry.version for entry in self.model.opset_import if entry.domain in {"", "ai.onnx"}),
            default=0,
        )


def _check_numbers(model: onnx.ModelProto, path: Path) -> None:
    """Refuse weights that are no numbers; infinities may be a mask's."""
    for weight in model.graph.initializer:
        if weight.data_type in _FLOATS and np.isnan(to_array(weight)).any():
            raise WeightsError(
                f"{path}: {weight.name} has values that are no numbers (NaN)",
                hint="Export it again, from a checkpoint before the training diverged.",
            )


def _files_beside(model: onnx.ModelProto) -> list[str]:
    weights = [weight for weight in model.graph.initializer if uses_external_data(weight)]
    return sorted({ExternalDataInfo(weight).location for weight in weights})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except DecodeError as error:
        raise WeightsError(f"{path} is not a whole ONNX file") from error
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise WeightsError(f"{path} cannot be read: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The first line of what a library says, without its own places in source code."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = _SOURCE_PLACE.sub("", lines[0].rpartition(" : ")[2] or lines[0])
    return text if len(text) <= _REASON else text[:_REASON] + "..."
