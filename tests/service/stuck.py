"""The real command around an engine that tests can hold up: in loading, and in a forward pass.

STUCK names a folder: while it holds a file `load` engines do not come up, while it holds `hang` a
forward pass does not end.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamcam.cameras import engines
from streamcam.cli.app import main as command
from streamcam.service import supervisor
from streamcam.types import Frame
from tests.jobs.daemon import StubEngine

FOLDER = Path(os.environ.pop("STUCK"))
STUCK_AFTER = 2.0
"""Seconds that a batch may take; the real ones are a minute."""
GRACE = 4.0
"""Seconds that cameras get to end; the real ones are 20."""


class StuckEngine(StubEngine):
    def lower_confidence(self, confidence: float) -> None:
        pass

    def forward(self, inputs: Sequence[Frame]) -> Sequence[Frame]:
        _wait_for(FOLDER / "hang")
        return super().forward(inputs)


def _wait_for(file: Path) -> None:
    """Wait until a file is gone."""
    while file.exists():
        time.sleep(0.02)


def build_engine(*_: Any) -> StuckEngine:
    _wait_for(FOLDER / "load")
    return StuckEngine()


class Impatient(supervisor.Supervisor):
    """The supervisor in a hurry."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, stuck_after=STUCK_AFTER, grace=GRACE)


def main() -> None:
    engines.build_engine = build_engine  # type: ignore[assignment]
    supervisor.Supervisor = Impatient  # type: ignore[misc]
    command()


if __name__ == "__main__":
    main()
