"""The settings of one camera, all defaults filled in."""

from dataclasses import dataclass
from typing import Literal

from streamcam.config import Settings
from streamcam.config.camera_schema import CameraSettings
from streamcam.config.event_schema import EventSettings
from streamcam.config.tracking_schema import TrackingSettings
from streamcam.sources.live import Address, Timeouts


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """A camera's settings; a camera keeps running while its plan stays equal.

    Attributes:
        name: Its name, and that of its folder.
        settings: The settings that concern it, with its own detector.
        ignore: Regions whose detections do not count, see `CameraSettings.ignore`.
        tracking: How its objects are tracked, with its own zones and lines; None where they are
            not.
        events: What becomes an event; None where it has none.
    """

    name: str
    address: Address
    timeouts: Timeouts
    frame_pixels: int
    max_fps: float
    settings: Settings
    ignore: tuple[tuple[float, ...], ...]
    record: Literal["always", "detections", "never"]
    publish: str | None
    tracking: TrackingSettings | None
    events: EventSettings | None

    @classmethod
    def of(cls, camera: CameraSettings, settings: Settings) -> "CameraPlan":
        live, tracking = settings.live, _tracking(camera, settings)
        return cls(
            name=camera.name,
            address=Address(camera.url, camera.format, camera.options),
            timeouts=Timeouts(opening=live.open_timeout, reading=live.read_timeout),
            frame_pixels=settings.limits.frame_pixels,
            max_fps=camera.max_fps or live.max_fps,
            settings=_with_model(settings, camera, tracking or TrackingSettings()),
            ignore=camera.ignore,
            record=camera.record or live.record,
            publish=camera.publish,
            tracking=tracking,
            events=settings.events.of_camera(camera.events),
        )


def plans(settings: Settings) -> list[CameraPlan]:
    return [CameraPlan.of(camera, settings) for camera in settings.camera if camera.enabled]


def _tracking(camera: CameraSettings, settings: Settings) -> TrackingSettings | None:
    enabled = settings.tracking.enabled if camera.track is None else camera.track
    own = TrackingSettings(
        enabled=enabled or settings.events.of_camera(camera.events) is not None,
        lost_after=settings.tracking.lost_after,
        zones=camera.zones,
        lines=camera.lines,
    )
    return own if own.on else None


def _with_model(settings: Settings, camera: CameraSettings, tracking: TrackingSettings) -> Settings:
    """Return the settings with the camera's own detector; weights belong to their model."""
    changes = {
        "name": camera.model,
        "weights": camera.weights,
        "labels": camera.labels,
        "confidence": camera.confidence,
        "classes": camera.classes,
    }
    own: dict[str, object] = {key: value for key, value in changes.items() if value is not None}
    if camera.model is not None and camera.weights is None:
        own = {**own, "weights": None, "labels": None}
    model = settings.model.model_copy(update=own)
    # The rest does not concern a camera, and a change of it does not change the plan.
    return Settings(
        model=model,
        cam=settings.cam,
        render=settings.render,
        output=settings.output,
        live=settings.live,
        tracking=tracking,
        sinks={**settings.sinks, **camera.sinks},
    )
