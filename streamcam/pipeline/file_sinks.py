"""Which sinks a file's results have, by the settings."""

from streamcam.config import Settings
from streamcam.config.schema import OutputSettings
from streamcam.events.file_events import FileEventSettings
from streamcam.sinks.parquet.table_file import require_pyarrow
from streamcam.sinks.registry import SinkChoice
from streamcam.sinks.video import VideoSettings


def check_records(output: OutputSettings) -> None:
    """Raise `UsageError` where the records' form needs a package that is not installed."""
    if output.records != "jsonl":
        require_pyarrow(f"--records {output.records}")


def file_sinks(settings: Settings, *, still: bool) -> list[SinkChoice]:
    """Return a file's sinks; those of the tables `[sinks.NAME]` are the last."""
    output = settings.output
    chosen = _record_sinks(output)
    if output.save_maps != "off":
        chosen.append(SinkChoice(f"maps-{output.save_maps}"))
    if output.video != "off" and not still:
        chosen.append(
            SinkChoice("video", VideoSettings(encoder=output.encoder, audio=output.audio))
        )
    if output.video != "off" or still:
        chosen.append(SinkChoice("picture"))
    if settings.events.enabled and not still:
        lost_after = settings.tracking.lost_after
        events = FileEventSettings(rule=settings.events, lost_after=lost_after)
        chosen.append(SinkChoice("events", events))
    return [*chosen, *(SinkChoice(name, own) for name, own in settings.sinks.items())]


def _record_sinks(output: OutputSettings) -> list[SinkChoice]:
    chosen = [] if output.records == "parquet" else [SinkChoice("records")]
    if output.records != "jsonl":
        chosen += [SinkChoice("records-frames"), SinkChoice("records-detections")]
    return chosen
