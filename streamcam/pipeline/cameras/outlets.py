"""The ways out for a camera's results: its recording, and where it is published."""

from collections.abc import Sequence

from streamcam.clock import Clock
from streamcam.pipeline.cameras.engines import Engines
from streamcam.pipeline.cameras.outlet import Outlet
from streamcam.pipeline.cameras.plan import CameraPlan


def make_outlets(plan: CameraPlan, engines: Engines, clock: Clock) -> Sequence[Outlet]:
    """Open the ways out that a camera's plan names."""
    return []
