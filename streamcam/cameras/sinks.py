"""The ways out for a camera's results: its recording, and where it is published."""

from collections.abc import Sequence

from streamcam.cameras.engines import Engines
from streamcam.cameras.plan import CameraPlan
from streamcam.cameras.recording import Recording
from streamcam.cameras.sink_worker import SinkWorker
from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.clock import Clock
from streamcam.sinks.encoder import VideoSettings
from streamcam.sinks.publish import PublishSink
from streamcam.sinks.recording.recorder import SegmentSettings
from streamcam.sinks.recording.recovery import recover

# A core of the machine's is enough for the few frames a second of one camera.
_ENCODER_THREADS = 1


def make_outlets(
    plan: CameraPlan, engines: Engines, clock: Clock, on_stage: OnStage = unmeasured
) -> Sequence[SinkWorker]:
    """Open the ways out that a camera's plan names."""
    outlets: list[SinkWorker] = []
    if plan.record != "never":
        outlets.append(_recording(plan, engines, clock, on_stage))
    if plan.publish is not None:
        outlets.append(_publishing(plan, plan.publish, clock, on_stage))
    return outlets


def _recording(plan: CameraPlan, engines: Engines, clock: Clock, on_stage: OnStage) -> SinkWorker:
    live, output = plan.settings.live, plan.settings.output
    assert plan.record != "never"
    settings = SegmentSettings(
        segment=live.segment,
        video=output.video != "off",
        record=plan.record,
        pre_roll=live.pre_roll,
        post_roll=live.post_roll,
        encoder=_encoding(plan),
    )
    folder = output.folder / plan.name

    def make() -> Recording:
        return Recording(folder, settings, lambda: engines.provenance(plan.name), clock)

    return SinkWorker(
        "recording",
        plan.name,
        make,
        needs_picture=settings.video,
        prepare=lambda: recover(folder),
        on_stage=on_stage,
        clock=clock,
    )


def _publishing(plan: CameraPlan, url: str, clock: Clock, on_stage: OnStage) -> SinkWorker:
    def make() -> PublishSink:
        return PublishSink(url, _encoding(plan), clock=clock)

    return SinkWorker("publishing", plan.name, make, on_stage=on_stage, clock=clock)


def _encoding(plan: CameraPlan) -> VideoSettings:
    return VideoSettings(plan.settings.output.encoder, _ENCODER_THREADS)
