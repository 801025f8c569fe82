"""Choosing a device and a precision, and naming a device's failures."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from streamcam.errors import DeviceError, DeviceMemoryError, UsageError

Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]

# Read once: while a thread computes with fewer, torch gives new threads that number.
_THREADS = torch.get_num_threads()

DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int8": torch.int8,
}

INTEL = "intel:"
"""What the names of OpenVINO's devices begin with."""


def choose_device(name: str) -> torch.device:
    """The device of a name: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".

    Raises a `UsageError` for any other name, a `DeviceError` where there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda"}:
        raise UsageError(
            f"there is no device {name!r}",
            hint="Use auto, cpu, cuda, cuda:N, intel:cpu, intel:gpu or intel:npu.",
        )
    if device.type == "cuda":
        _require_cuda(name, device)
    return device


def all_gpus() -> list[str]:
    """Return the names of all GPUs that torch computes on; raises a `DeviceError` without any."""
    _require_cuda("all", torch.device("cuda"))
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def check_devices(names: Iterable[str]) -> None:
    """Raise a `DeviceError` for a GPU that is not here; OpenVINO's devices tell when loading."""
    for name in names:
        if not name.startswith(INTEL):
            choose_device(name)


def _require_cuda(name: str, device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device {name!r} was asked for, and torch finds no CUDA GPU here",
            hint="Check the driver with nvidia-smi, or use --device cpu.",
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise DeviceError(
            f"device {name!r} was asked for, and there are {count} GPUs here",
            hint="GPUs are counted from cuda:0.",
        )


def choose_precision(name: Precision, device: torch.device) -> Literal["fp32", "fp16", "bf16"]:
    """The precision of a name; "auto" is half precision where the device has units for it.

    On a CPU that is a guess, which `prefers_bfloat16` confirms for one network. Raises a
    `UsageError` if the device cannot compute in it.
    """
    if name == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if _has_bfloat16_units() else "fp32"
    if name == "int8":
        raise UsageError(
            "precision int8 needs OpenVINO, which runs on Intel's devices and any CPU",
            hint="Use --device cpu, intel:gpu or intel:npu.",
        )
    if name == "fp16" and device.type == "cpu":
        raise UsageError("precision fp16 needs a GPU", hint="CPUs are quick in bf16, or use fp32.")
    return name


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not loaded."""
    return find_spec("openvino") is not None


def uses_openvino(device: str, precision: Precision) -> bool:
    """Whether a device and a precision by name are OpenVINO's: on a CPU it alone has int8.

    Raises:
        UsageError: They are, and OpenVINO is not installed.
    """
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    if not device.startswith(INTEL) and not (precision == "int8" and on_cpu):
        return False
    if not has_openvino():
        raise UsageError(
            f"--device {device} --precision {precision} needs OpenVINO",
            hint="pip install 'streamcam[openvino]'",
        )
    return True


def _has_bfloat16_units() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def cpu_name() -> str:
    """The processor's name as the kernel reports it, "" where it does not."""
    try:
        content = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = content.splitlines()
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return " ".join(next(names, "").split())


def torch_threads() -> int:
    return _THREADS


@contextmanager
def computing_threads(count: int) -> Iterator[None]:
    """Set the calling thread's number of torch threads for a while."""
    own = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(own)


@contextmanager
def loading_errors(what: str) -> Iterator[None]:
    """Turn a device's failures while something is loaded into ours, of memory too."""
    try:
        with device_errors():
            yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"the GPU has no room for {what}",
            hint="Close what else uses it, or take a smaller model.",
        ) from error


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn a device's failures into ours; running out of memory passes as torch's own error.

    Raises:
        DeviceError: The GPU failed. Its context cannot be used again in this process.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not _is_cuda_failure(error):
            raise
        reason = str(error).splitlines()[0]
        raise DeviceError(
            f"the GPU failed: {reason}", hint="Start again; if it repeats, look at dmesg for Xid."
        ) from error


def _is_cuda_failure(error: RuntimeError) -> bool:
    accelerator_error = getattr(torch, "AcceleratorError", None)
    if accelerator_error is not None and isinstance(error, accelerator_error):
        return True
    return any(mark in str(error) for mark in ("CUDA error", "cuDNN error", "CUBLAS_STATUS"))


def device_memory(names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The memory of GPUs in bytes, used by all processes and in total, by name ("cuda:0").

    Asking one that this process does not use would open a context of some hundred megabytes on it.
    """
    memory = {}
    for index in sorted({torch.device(name).index or 0 for name in names}):
        free, total = torch.cuda.mem_get_info(index)
        memory[f"cuda:{index}"] = (total - free, total)
    return memory


def torch_facts() -> dict[str, str]:
    """Return torch's devices, threads and cache of weights, by name, for bug reports."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(path.name for path in cache.glob("*.pth")) if cache.is_dir() else []
    return {
        "CUDA": _cuda_fact(),
        **{f"cuda:{number}": _gpu_fact(number) for number in range(torch.cuda.device_count())},
        "CPU": torch.backends.cpu.get_cpu_capability(),
        **_openvino_facts(),
        "threads": str(torch.get_num_threads()),
        "weights cache": f"{cache} ({', '.join(files) or 'empty'})",
    }


def _openvino_facts() -> dict[str, str]:
    """The names of OpenVINO's devices, by ours."""
    if not has_openvino():
        return {}
    from streamcam.vision.models.openvino.runtime import intel_devices

    return intel_devices()


def _cuda_fact() -> str:
    if torch.cuda.is_available():
        return f"available, version {torch.version.cuda}"
    built = torch.version.cuda
    return f"not available (torch is built for {built})" if built else "not in this torch build"


def _gpu_fact(number: int) -> str:
    properties = torch.cuda.get_device_properties(number)
    memory = properties.total_memory / 1e9
    return f"{properties.name}, {memory:.1f} GB, compute {properties.major}.{properties.minor}"
