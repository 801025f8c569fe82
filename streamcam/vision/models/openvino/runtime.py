"""OpenVINO's devices here, and how models are compiled for them."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import openvino

from streamcam.errors import DeviceError, UsageError, WeightsError
from streamcam.vision.devices import INTEL

IntelPrecision = Literal["fp32", "fp16", "bf16", "int8"]

_HINTS: Mapping[IntelPrecision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}

# A CPU compiles nano in 0.08 s and a ResNet-50 in 0.09 s of its time; from a file, which takes as
# much room as the weights, in 0.03 and 0.06 s. Graphics and NPUs take many seconds.
_CACHED = frozenset({"GPU", "NPU"})
_MAX_CACHED = 16


def intel_devices() -> dict[str, str]:
    """What people call OpenVINO's devices here, by our names: "intel:cpu", "intel:gpu:1"."""
    return {_our_name(one): _full_name(one) for one in openvino.Core().available_devices}


def describe_intel_device(device: str) -> str:
    """One of OpenVINO's devices, by its name: "intel:gpu:1 (Intel Arc A770, OpenVINO 2026.4.1)"."""
    return f"{_our_name(device)} ({_full_name(device)}, OpenVINO {_version()})"


def _our_name(device: str) -> str:
    return INTEL + device.lower().replace(".", ":")


def _full_name(device: str) -> str:
    return str(openvino.Core().get_property(device, "FULL_DEVICE_NAME"))


def _version() -> str:
    return version("openvino")


def find_intel_device(name: str) -> str:
    """OpenVINO's name of one of "intel:cpu", "intel:gpu", "intel:gpu:N" and "intel:npu".

    Raises:
        DeviceError: It is not here, or has no driver.
    """
    kind, _, number = name.removeprefix(INTEL).upper().partition(":")
    # A single GPU has no number.
    wanted = {f"{kind}.{number or 0}"} | ({kind} if number in {"", "0"} else set())
    here: list[str] = openvino.Core().available_devices
    found = next((one for one in here if one in wanted), None)
    if found is None:
        raise DeviceError(
            f"device {name!r} was asked for, and OpenVINO finds only {', '.join(intel_devices())}",
            hint="Install its driver, see docs/detectors.md, or take another --device.",
        )
    return found


def choose_intel_precision(wanted: str, device: str) -> IntelPrecision:
    """The precision of a name; "auto" is half precision where the device has units for it.

    Raises:
        UsageError: The device cannot compute in it.
    """
    able = _able(device)
    if wanted == "auto":
        return next(one for one in able if one != "int8")
    found = next((one for one in able if one == wanted), None)
    if found is None:
        raise UsageError(
            f"{device} does not compute in {wanted}", hint=f"It does in {', '.join(able)}."
        )
    return found


def _able(device: str) -> list[IntelPrecision]:
    """The precisions that a device computes in, the quickest for models of floats first."""
    can = openvino.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    half: list[IntelPrecision] = [one for one in ("bf16", "fp16") if one.upper() in can]
    # Where there are no units for integers, they are slow and right.
    return [*half, "fp32", "int8"]


def compiled(
    model: openvino.Model, device: str, precision: IntelPrecision, threads: int
) -> openvino.CompiledModel:
    """A model ready to run on one of OpenVINO's devices.

    Args:
        model: Of floats, or quantized.
        device: OpenVINO's name.
        precision: Of all that is not quantized; for that "int8" is what "auto" is.
        threads: Of a CPU that one run uses.

    Raises:
        WeightsError: The device cannot run it.
    """
    floats = choose_intel_precision("auto", device) if precision == "int8" else precision
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[floats],
    }
    kind = device.partition(".")[0]
    if kind == "CPU":
        # Decoding and encoding need the cores too, so threads may not insist on theirs.
        options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    folder = _cache_folder() if kind in _CACHED else None
    if folder is not None:
        options["CACHE_DIR"] = str(folder)
    try:
        made = openvino.Core().compile_model(model, device, options)
    except RuntimeError as error:
        raise WeightsError(
            f"OpenVINO {_version()} cannot run this model on {device}: {reason(error)}"
        ) from error
    if folder is not None:
        _remove_oldest(folder)
    return made


def reason(error: RuntimeError) -> str:
    """What OpenVINO says, without its places in source code."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [one for one in lines if one and not one.startswith("Exception from")]
    return said[-1] if said else type(error).__name__


def _cache_folder() -> Path | None:
    """The user's folder of compiled models; None where nothing can be written."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "streamcam" / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _remove_oldest(folder: Path) -> None:
    """Leave the newest compiled models; others are of models or drivers of before."""
    files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime)
    for file in files[:-_MAX_CACHED]:
        file.unlink(missing_ok=True)
