"""What a bug report needs to know of torch and its devices."""

from pathlib import Path

import torch


def facts() -> dict[str, str]:
    """Return what torch can use here, by name."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(path.name for path in cache.glob("*.pth")) if cache.is_dir() else []
    return {
        "CUDA": _cuda(),
        **{f"cuda:{number}": _device(number) for number in range(torch.cuda.device_count())},
        "CPU": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "weights cache": f"{cache} ({', '.join(files) or 'empty'})",
    }


def _cuda() -> str:
    if torch.cuda.is_available():
        return f"available, version {torch.version.cuda}"
    built = torch.version.cuda
    return f"not available (torch is built for {built})" if built else "not in this torch build"


def _device(number: int) -> str:
    properties = torch.cuda.get_device_properties(number)
    memory = properties.total_memory / 1e9
    return f"{properties.name}, {memory:.1f} GB, compute {properties.major}.{properties.minor}"
