"""The engine key: what of the settings, and of the model's files, decides how results look."""

from collections.abc import Mapping
from typing import Any

from streamcam.cam_methods import EIGENCAM
from streamcam.config import Settings
from streamcam.config.event_schema import EventSettings
from streamcam.config.tracking_schema import TrackingSettings
from streamcam.sinks.base import EngineKey
from streamcam.sinks.registry import sink_type

RANDOM = "random"
"""The setting `model.weights` for weights that are no file, and the same every time."""

# Which files the model is made of tell their digests. Where and how fast it runs changes rounding
# only: archives are explained by several machines.
_NOT_OF_RESULTS: Mapping[str, frozenset[str]] = {
    "model": frozenset(
        ("weights", "labels", "library", "trust", "classes", "device", "batch", "max_wait")
    ),
    "cam": frozenset(),
    "sampling": frozenset(),
    "render": frozenset(),
    "tracking": frozenset(),
    "events": frozenset(("pre_roll", "post_roll")),
    "output": frozenset(("folder", "overwrite", "skip_existing", "encoder", "workers", "split")),
}


def engine_key(
    settings: Settings, weights_sha256: str | None, labels_sha256: str | None
) -> EngineKey:
    """Return the key of what the settings describe; settings without an effect are left out.

    Args:
        settings: As the user made them: "auto" is a part as such, not what it comes to here.
        weights_sha256: Digest of the weights' file; None for random and unknown ones.
        labels_sha256: Digest of the file with the classes' names, None without one.
    """
    settings = settings.model_copy(update={"tracking": settings.file_tracking or settings.tracking})
    parts: dict[str, Any] = {
        "model.weights": RANDOM if settings.model.weights == RANDOM else weights_sha256,
        "model.labels": labels_sha256,
        "model.classes": sorted({label.casefold() for label in settings.model.classes}),
        "sinks": sorted(name for name in settings.sinks if sink_type(name).result_file),
    }
    for section, excluded in _NOT_OF_RESULTS.items():
        values = getattr(settings, section).model_dump(mode="json", exclude=excluded)
        parts |= {f"{section}.{name}": value for name, value in values.items()}
    for name in _without_effect(settings):
        parts.pop(name, None)
    return EngineKey(dict(sorted(parts.items())))


def _without_effect(settings: Settings) -> list[str]:
    names = []
    if settings.cam.method == EIGENCAM:
        names += ["cam.explain", "cam.why_every", "cam.why_top"]
    if settings.sampling.every is not None:
        names.append("sampling.max_fps")
    if settings.file_tracking is None:
        names += [f"tracking.{name}" for name in TrackingSettings.model_fields]
    if settings.output.records == "jsonl":
        names.append("output.records")  # which earlier versions did not have
    if not settings.events.enabled:
        names += [f"events.{name}" for name in EventSettings.model_fields]
    return names
