"""Runs the real command as a subprocess, as a user would."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Streamcam = Callable[..., subprocess.CompletedProcess[str]]

TIMEOUT = 180


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings that would change what is tested."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STREAMCAM_")}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "120", **variables}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "streamcam", *(str(argument) for argument in arguments)]


@pytest.fixture(scope="session")
def streamcam() -> Streamcam:
    def call(
        *arguments: object, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=cwd,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    return call
