"""The ways out for a camera's results: its recording, and where it is published."""

from collections.abc import Sequence

from streamcam.clock import Clock
from streamcam.pipeline.cameras.engines import Engines
from streamcam.pipeline.cameras.outlet import Outlet
from streamcam.pipeline.cameras.plan import CameraPlan
from streamcam.pipeline.cameras.recording import Recording
from streamcam.sinks.encoder import VideoSettings
from streamcam.sinks.segments import SegmentSettings

# A core of the machine's is enough for the few frames a second of one camera.
_ENCODER_THREADS = 1


def make_outlets(plan: CameraPlan, engines: Engines, clock: Clock) -> Sequence[Outlet]:
    """Open the ways out that a camera's plan names."""
    return [_recording(plan, engines, clock)] if plan.record != "never" else []


def _recording(plan: CameraPlan, engines: Engines, clock: Clock) -> Outlet:
    live, output = plan.settings.live, plan.settings.output
    assert plan.record != "never"
    settings = SegmentSettings(
        segment=live.segment,
        video=output.video != "off",
        record=plan.record,
        pre_roll=live.pre_roll,
        post_roll=live.post_roll,
        encoder=VideoSettings(output.encoder, _ENCODER_THREADS),
    )
    folder = output.folder / plan.name

    def make() -> Recording:
        return Recording(folder, settings, lambda: engines.facts(plan.name), clock)

    return Outlet("recording", plan.name, make, needs_picture=settings.video, clock=clock)
