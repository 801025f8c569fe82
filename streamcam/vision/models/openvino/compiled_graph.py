"""A graph on one of OpenVINO's devices: tensors in, tensors out, no copies between."""

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import openvino
import torch
from openvino.preprocess import PrePostProcessor
from torch import Tensor

from streamcam.errors import DeviceError, WeightsError
from streamcam.vision.models.network_graph import Named, is_level
from streamcam.vision.models.openvino.runtime import IntelPrecision, compiled, reason

# Compilers of NPUs take no open sizes: each canvas is compiled for itself, for one picture.
_STATIC = "NPU"
_MAX_COMPILED = 4

# The pipeline has two batches behind the network at most; what more there are is not kept.
_MAX_REQUESTS = 4


class _Request:
    """One run at a time, whose outputs lie in memory of its own."""

    def __init__(self, model: openvino.CompiledModel) -> None:
        self._request = model.create_infer_request()
        self._given: list[weakref.ref[npt.NDArray[Any]]] = []

    @property
    def is_free(self) -> bool:
        """Whether nobody holds outputs of the last run."""
        return all(reference() is None for reference in self._given)

    def __call__(self, inputs: Named) -> list[Tensor]:
        given = {
            name: openvino.Tensor(value.contiguous().numpy(), shared_memory=True)
            for name, value in inputs.items()
        }
        self._request.infer(given, share_inputs=True, share_outputs=True)
        arrays: list[npt.NDArray[Any]] = [one.data for one in self._request.output_tensors]
        self._given = [weakref.ref(array) for array in arrays]
        # A tensor holds its array, and so do all views of it.
        return [torch.from_numpy(array) for array in arrays]


class _Requests:
    """A compiled model, with as many requests as have outputs in use.

    Copying the outputs instead would take 0.09 s of a ResNet-50's 0.86 s, 1 ms of nano's 12.
    """

    def __init__(self, model: openvino.CompiledModel) -> None:
        self._model = model
        self._kept: list[_Request] = []

    def __call__(self, inputs: Named) -> list[Tensor]:
        request = next((one for one in self._kept if one.is_free), None)
        if request is None:
            request = _Request(self._model)
            self._kept = [*self._kept, request][-_MAX_REQUESTS:]
        return request(inputs)


class CompiledGraph:
    """A model on one of OpenVINO's devices. For one thread at a time; sizes may change.

    Arguments and `WeightsError` are those of `compiled`; inputs and outputs have names. A model
    that is compiled already, for a CPU, stays as it is. With `channels_last` a CPU gives feature
    maps in that layout.
    """

    def __init__(
        self,
        model: openvino.Model | openvino.CompiledModel,
        *,
        device: str,
        precision: IntelPrecision,
        threads: int,
        channels_last: bool = False,
    ) -> None:
        self._names = [output.any_name for output in model.outputs]
        self._channels_last: list[str] = []
        if channels_last and device == "CPU" and isinstance(model, openvino.Model):
            self._channels_last = [one.any_name for one in model.outputs if _is_map(one)]
            model = _with_channels_last(model, self._channels_last)
        self._model = model
        self._place = (device, precision, threads)
        self._device = device
        self._is_static = device.startswith(_STATIC)
        self._by_size: OrderedDict[tuple[int, ...], _Requests] = OrderedDict()
        if isinstance(model, openvino.CompiledModel):
            self._by_size[()] = _Requests(model)
        elif not self._is_static:
            self._by_size[()] = _Requests(compiled(model, *self._place))

    def __call__(self, inputs: Named) -> dict[str, Tensor]:
        """All outputs by name.

        Raises:
            WeightsError: The model cannot take these inputs.
            DeviceError: The device failed.
        """
        if not self._is_static:
            return self._run(self._by_size[()], inputs)
        count = max(map(len, inputs.values()))
        singles = [{name: value[i : i + 1] for name, value in inputs.items()} for i in range(count)]
        runs = [self._run(self._of_size(one), one) for one in singles]
        return {name: torch.cat([run[name] for run in runs]) for name in self._names}

    def _run(self, requests: _Requests, inputs: Named) -> dict[str, Tensor]:
        try:
            outputs = dict(zip(self._names, requests(inputs), strict=True))
        except RuntimeError as error:
            if self._device != "CPU":
                raise DeviceError(f"{self._device} failed: {reason(error)}") from error
            raise WeightsError(f"OpenVINO fails on these pictures: {reason(error)}") from error
        return outputs | {name: outputs[name].permute(0, 3, 1, 2) for name in self._channels_last}

    def _of_size(self, inputs: Named) -> _Requests:
        size = tuple(side for value in inputs.values() for side in value.shape)
        if size not in self._by_size:
            if len(self._by_size) == _MAX_COMPILED:
                self._by_size.popitem(last=False)
            fixed = self._model.clone()
            fixed.reshape({name: list(value.shape) for name, value in inputs.items()})
            self._by_size[size] = _Requests(compiled(fixed, *self._place))
        self._by_size.move_to_end(size)
        return self._by_size[size]


def _is_map(output: openvino.Output) -> bool:
    return is_level(output.any_name) and len(output.partial_shape) == 4


def _with_channels_last(model: openvino.Model, names: Sequence[str]) -> openvino.Model:
    """A model whose outputs of some names are [batch, height, width, channels].

    Where torch pools boxes from them, as in a Faster R-CNN with a ResNet-50 in int8, the forward
    takes 328 instead of 364 ms. It costs 16 of them in OpenVINO, and would cost nano more than it
    gains.
    """
    steps = PrePostProcessor(model.clone())
    for name in names:
        steps.output(name).model().set_layout(openvino.Layout("NCHW"))
        steps.output(name).tensor().set_layout(openvino.Layout("NHWC"))
    return steps.build()
