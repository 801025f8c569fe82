"""The sinks of a camera, each in a thread of its own."""

from collections.abc import Sequence
from fractions import Fraction

from streamcam.cameras.engines import Engines
from streamcam.cameras.plan import CameraPlan
from streamcam.cameras.sink_worker import SinkWorker
from streamcam.cameras.stages import OnStage, unmeasured
from streamcam.clock import Clock
from streamcam.sinks.base import Target
from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.publish import PublishSettings
from streamcam.sinks.recording.recorder import RecordingSettings
from streamcam.sinks.registry import SinkChoice
from streamcam.types import SourceInfo

# A core of the machine's is enough for the few frames a second of one camera.
_ENCODER_THREADS = 1


def make_sinks(
    plan: CameraPlan, engines: Engines, clock: Clock, on_stage: OnStage = unmeasured
) -> Sequence[SinkWorker]:
    """Start a worker for each sink that a camera's plan turns on."""
    target = Target(
        SourceInfo(plan.name, 0, 0, Fraction(1, 1000), live=True),
        plan.settings.output.folder / plan.name,
        plan.name,
        lambda: engines.provenance(plan.name),
        clock,
    )
    return [SinkWorker(choice, target, on_stage=on_stage) for choice in camera_sinks(plan)]


def camera_sinks(plan: CameraPlan) -> list[SinkChoice]:
    """Return the sinks that a camera's plan turns on."""
    chosen: list[SinkChoice] = []
    live, output = plan.settings.live, plan.settings.output
    encoder = EncoderSettings(encoder=output.encoder, threads=_ENCODER_THREADS)
    if plan.record != "never":
        recording = RecordingSettings(
            segment=live.segment,
            video=output.video != "off",
            record=plan.record,
            pre_roll=live.pre_roll,
            post_roll=live.post_roll,
            encoder=encoder,
        )
        chosen.append(SinkChoice("recording", recording))
    if plan.publish is not None:
        chosen.append(SinkChoice("publishing", PublishSettings(url=plan.publish, encoder=encoder)))
    optional = plan.settings.sinks.items()
    return [*chosen, *(SinkChoice(name, settings) for name, settings in optional)]
