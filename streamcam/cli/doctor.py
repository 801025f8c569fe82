"""`streamcam doctor`: what a bug report needs."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.table import Table

from streamcam.cli import options
from streamcam.cli.terminal import output, print_json, size
from streamcam.config import Settings, load_settings
from streamcam.errors import StreamcamError
from streamcam.files import existing_ancestor, free_space
from streamcam.version import __version__

_PACKAGES = (
    "torch",
    "torchvision",
    "grad-cam",
    "opencv-python-headless",
    "numpy",
    "av",
    "watchdog",
    "typer",
    "pydantic",
    # Of detector families that are installed apart.
    "transformers",
    "onnxruntime",
    "openvino",
    "nncf",
    "pyarrow",
    "streamcam-ultralytics",
)


def doctor(config: options.Config = None, json: options.Json = False) -> None:
    """Print versions, devices, codecs, caches and free space: what a bug report needs.

    A short trial shows how fast the built-in detector is on the CPU, in torch and in OpenVINO.
    """
    from streamcam.bench.runtime_trial import runtime_facts
    from streamcam.sinks.encoder import ffmpeg_facts
    from streamcam.vision.devices import torch_facts

    settings, state = _settings(config)
    folder = settings.output.local_folder.absolute()
    writable = "writable" if os.access(existing_ancestor(folder), os.W_OK) else "NOT writable"
    facts = {
        "streamcam": {
            "version": __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            "system": platform.platform(),
            "processors": str(os.cpu_count()),
            "configuration": state,
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": torch_facts(),
        "nano on the CPU": runtime_facts(),
        "video": ffmpeg_facts(),
        "disk": {"output folder": f"{folder} ({writable})", "free": size(free_space(folder))},
    }
    if json:
        print_json(facts, indent=True)
    else:
        _print(facts)


def _settings(config: Path | None) -> tuple[Settings, str]:
    """Return the settings in force; a broken configuration is a finding, not an obstacle."""
    try:
        return load_settings(config, os.environ), str(config or "built-in defaults")
    except StreamcamError as error:
        return Settings(), f"cannot be used: {error}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _print(facts: dict[str, dict[str, str]]) -> None:
    for heading, rows in facts.items():
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(min_width=24)
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(name, value)
        output().print(heading, style="bold")
        output().print(table)
