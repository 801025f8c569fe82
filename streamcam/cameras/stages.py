"""How long a frame spends where."""

from collections.abc import Callable

OnStage = Callable[[str, float], None]
"""Told of the seconds that a frame, in the engine a batch, spent in a stage; must be quick."""


def unmeasured(stage: str, seconds: float) -> None:
    """Measure nothing."""
