"""Running an ONNX graph with ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import EncodeError
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors
from torch import Tensor

from streamcam.errors import DeviceError, WeightsError
from streamcam.vision.models.onnx.onnx_file import first_line

_FAILURES = tuple(
    error
    for error in vars(runtime_errors).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


class OnnxSession:
    """Runs a graph on a device.

    Args:
        threads: Of a CPU that one run uses.

    Raises:
        WeightsError: ONNX Runtime cannot run the graph.
    """

    def __init__(
        self,
        path: Path,
        model: onnx.ModelProto,
        device: torch.device,
        *,
        threads: int = 0,
        optimize: bool = True,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what fails is raised too
        # Threads that wait by computing would take the cores from decoding and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not optimize:
            levels = onnxruntime.GraphOptimizationLevel
            options.graph_optimization_level = levels.ORT_DISABLE_ALL
        self._path = path
        self._device = device
        try:
            content = model.SerializeToString()
            self._session = onnxruntime.InferenceSession(
                content, options, providers=_providers(device)
            )
        except (*_FAILURES, EncodeError, ValueError) as error:
            raise WeightsError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run {path}: {first_line(error)}"
            ) from error
        if device.type == "cuda" and self._session.get_providers() == ["CPUExecutionProvider"]:
            raise DeviceError(
                "ONNX Runtime cannot use this GPU",
                hint="Its log says why: the versions of CUDA and cuDNN may not fit.",
            )
        self._outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name, on the device.

        Raises:
            WeightsError: The graph cannot take these inputs.
            DeviceError: The GPU failed.
        """
        return {
            name: torch.from_numpy(np.asarray(value)).to(self._device)
            for name, value in zip(self._outputs, self._run(feeds), strict=True)
        }

    def shapes(self, feeds: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """The shapes of all outputs that are tensors; raises as a call does."""
        values = zip(self._outputs, self._run(feeds), strict=True)
        return {name: value.shape for name, value in values if isinstance(value, np.ndarray)}

    def _run(self, feeds: Mapping[str, Tensor]) -> list[Any]:
        arrays = {name: value.cpu().numpy() for name, value in feeds.items()}
        try:
            results: list[Any] = self._session.run(self._outputs, arrays)
        except _FAILURES as error:
            if "CUDA" in str(error):
                raise DeviceError(f"the GPU failed: {first_line(error)}") from error
            raise WeightsError(f"{self._path} fails as it runs: {first_line(error)}") from error
        return results

    def dtype(self, output: str) -> torch.dtype:
        types = {one.name: one.type for one in self._session.get_outputs()}
        return torch.float16 if types[output] == "tensor(float16)" else torch.float32


def _providers(device: torch.device) -> list[str | tuple[str, dict[str, str]]]:
    """What ONNX Runtime computes with, the best first."""
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    here = onnxruntime.get_available_providers()
    place = {"device_id": str(device.index or 0)}
    wanted = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    found = [(name, place) for name in wanted if name in here]
    if not found:
        raise DeviceError(
            "this ONNX Runtime cannot compute on a GPU",
            hint="Install onnxruntime-gpu in place of onnxruntime, or use --device cpu.",
        )
    return [*found, "CPUExecutionProvider"]
