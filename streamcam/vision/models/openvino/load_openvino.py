"""From a loaded network to one that runs in OpenVINO, as settings ask."""

from pathlib import Path

import openvino

from streamcam.errors import UsageError, WeightsError
from streamcam.vision.cpu.tuning import agrees_with_float32
from streamcam.vision.devices import INTEL
from streamcam.vision.models.family import Loaded
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.openvino.runtime import (
    choose_intel_precision,
    find_intel_device,
    reason,
)


def load_openvino(loaded: Loaded, name: str, device: str, precision: str) -> OpenVinoNetwork:
    """The same network, its graph in OpenVINO; the network is taken over.

    Args:
        loaded: On the CPU.
        name: Of the model, for messages.
        device: "intel:cpu", "intel:gpu", "intel:gpu:N" or "intel:npu"; any other is the CPU.
        precision: "auto" for half precision where the device has units for it, and the feature maps
            stay the same.

    Raises:
        UsageError: OpenVINO cannot run the model, the device does not compute in the precision, or
            the model has no int8 weights.
        WeightsError: The int8 weights cannot be read, or the device cannot run the model.
        DeviceError: There is no such device, or it has no driver.
    """
    place = find_intel_device(device if device.startswith(INTEL) else "intel:cpu")
    chosen = choose_intel_precision(precision, place)
    own = loaded.network
    model = _quantized(loaded.int8, name) if chosen == "int8" else converted(own)
    network = OpenVinoNetwork(own, model, device=place, precision=chosen)
    if precision == "auto" and chosen != "fp32" and not agrees_with_float32(network):
        return OpenVinoNetwork(own, model, device=place, precision="fp32")
    return network


def _quantized(file: Path | None, name: str) -> openvino.Model:
    if file is None:
        raise UsageError(
            f"{name} has no int8 weights",
            hint=f"streamcam models quantize {name} --footage FOLDER makes them.",
        )
    try:
        return openvino.Core().read_model(file)
    except RuntimeError as error:
        raise WeightsError(f"{file} cannot be read: {reason(error)}") from error
