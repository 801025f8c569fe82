"""Adds, removes and changes the cameras of one process, which share each device's pipeline."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from streamcam.cameras.camera import Camera
from streamcam.cameras.device_pipelines import DevicePipelines
from streamcam.cameras.plan import CameraPlan
from streamcam.clock import Clock
from streamcam.config import Settings
from streamcam.config.camera_schema import RetentionSettings
from streamcam.config.event_schema import EventSettings
from streamcam.errors import DeviceError
from streamcam.events.archive import EventArchive, KeptCamera
from streamcam.observer import Observer, Observers
from streamcam.pipeline.trackers import style_of
from streamcam.sinks.pictures import PreviewSink
from streamcam.sinks.recording.retention import Retention, RetentionThread
from streamcam.types import CameraStatus

_log = logging.getLogger(__name__)

# A camera that is removed ends its recording within it, or is left to end by itself.
_REMOVAL_SECONDS = 10.0

# What is cancelled waits for nothing but a disk that hangs.
_CANCEL_SECONDS = 2.0


class CameraManager:
    """Runs cameras; a context manager. Its methods are for one thread, except where noted.

    Args:
        reconnect: Whether cameras are connected again when they are lost.

    Attributes:
        stuck: Whether something could not be ended: the process should not wait for its threads.
        events: Keeps the cameras' events.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        *,
        clock: Clock | None = None,
        reconnect: bool = True,
    ) -> None:
        self.stuck = False
        self._clock = clock or Clock()
        self.events = EventArchive(self._clock)
        self._observer = Observers([self.events, observer])
        self._reconnect = reconnect
        self._devices = DevicePipelines(settings, observer, self._clock)
        self._retention = RetentionThread(
            make_retention(settings.output.local_folder, settings.retention, self._clock)
        )
        self._cameras: dict[str, Camera] = {}
        self._paused: set[str] = set()
        self._unrecorded: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._devices.start()
        self._retention.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._retention.stop()
        self.stop(_REMOVAL_SECONDS)
        self.events.stop()
        if not self.stuck:
            self._devices.close()
        # Its thread is a daemon, and each deletion is atomic: a long sweep holds nothing up.
        if not self._retention.join(_CANCEL_SECONDS):
            _log.warning("old recordings are still being deleted; not waited for")

    @property
    def cameras(self) -> list[Camera]:
        """The cameras, in the order in which they were named. From any thread."""
        with self._lock:
            return list(self._cameras.values())

    @property
    def devices(self) -> DevicePipelines:
        """The devices, their detectors and pipelines, which files may share."""
        return self._devices

    @property
    def warm(self) -> bool:
        """Whether every camera has its detector, or waits for one that cannot be had."""
        return all(camera.ready for camera in self.cameras)

    def statuses(self) -> list[CameraStatus]:
        return [camera.status() for camera in self.cameras]

    def preview(self, name: str) -> PreviewSink | None:
        """Return a camera's newest result, None without that camera. From any thread."""
        with self._lock:
            camera = self._cameras.get(name)
        return None if camera is None else camera.preview

    def pause(self, name: str, paused: bool) -> bool:
        """Pause a camera or resume it, also beyond a change of its plan. From any thread.

        Returns:
            Whether there is such a camera.
        """
        with self._lock:
            camera = self._cameras.get(name)
            _note(self._paused, name, paused and camera is not None)
        if camera is None:
            return False
        if paused:
            camera.pause()
        else:
            camera.resume()
        return True

    def record(self, name: str, on: bool) -> bool:
        """Let a camera's recording rest or go on; the rest as in `pause`."""
        with self._lock:
            camera = self._cameras.get(name)
            _note(self._unrecorded, name, not on and camera is not None)
        if camera is not None:
            camera.record(on)
        return camera is not None

    @property
    def fault(self) -> DeviceError | None:
        """Why no camera can go on, None while they can."""
        broken = self._broken()
        return next((fault for one, fault in broken if not self._devices.others(one.device)), None)

    def leave_failed_devices(self) -> None:
        """Start the cameras of devices that failed again on others, as long as there are some."""
        broken = self._broken()
        moved = [one for one, fault in broken if self._devices.give_up(one.device, fault)]
        self._end(moved, _REMOVAL_SECONDS)
        for camera in moved:
            name = camera.plan.name
            with self._lock:
                self._cameras[name] = again = self._new_camera(camera.plan)
            _log.warning("%s goes on on %s", name, again.device.device, extra={"source": name})
            self._begin(again)

    def _broken(self) -> list[tuple[Camera, DeviceError]]:
        """Return the cameras that have ended as their device failed."""
        ended = [(camera, camera.fault) for camera in self.cameras if camera.failed]
        return [(camera, fault) for camera, fault in ended if isinstance(fault, DeviceError)]

    def reconcile(self, plans: Sequence[CameraPlan]) -> None:
        """Run exactly the cameras that are planned; those whose plan is unchanged keep running.

        A camera that has failed is started again: its weights may be there now.
        """
        wanted = {plan.name: plan for plan in plans}
        gone = [c for c in self.cameras if c.failed or wanted.get(c.plan.name) != c.plan]
        self._end(gone, _REMOVAL_SECONDS)
        self._keep_events(plans)
        with self._lock:
            self._paused &= wanted.keys()
            self._unrecorded &= wanted.keys()
            kept = {name: camera for name, camera in self._cameras.items() if camera not in gone}
            self._cameras = dict(kept)
            for name, plan in wanted.items():
                if name not in kept:
                    self._cameras[name] = self._new_camera(plan)
            self._cameras = {name: self._cameras[name] for name in wanted}
            added = [self._cameras[name] for name in wanted if name not in kept]
        for camera in added:
            self._begin(camera)

    def set_retention(self, folder: Path, bounds: RetentionSettings) -> None:
        """Apply other bounds, or bounds to another folder, from the next sweep on."""
        self._retention.retention = make_retention(folder, bounds, self._clock)
        self.events.max_age = bounds.max_age_records

    def stop(self, grace: float) -> None:
        """End all cameras; those that do not end within `grace` seconds are left behind."""
        self._end(self.cameras, grace)

    def _end(self, cameras: Sequence[Camera], grace: float) -> None:
        for camera in cameras:
            camera.stop()
        deadline = self._clock.monotonic() + grace
        slow = [c for c in cameras if not c.join(max(0.0, deadline - self._clock.monotonic()))]
        for camera in slow:
            camera.cancel()
        for camera in slow:
            if not camera.join(_CANCEL_SECONDS):
                name = camera.plan.name
                _log.warning("%s: does not end and was left behind", name, extra={"source": name})
                self.stuck = True

    def _keep_events(self, plans: Sequence[CameraPlan]) -> None:
        if plans:
            kept = {p.name: _kept(p, p.events) for p in plans if p.events is not None}
            self.events.configure(plans[0].settings.output.local_folder, kept)

    def _new_camera(self, plan: CameraPlan) -> Camera:
        device = self._devices.least_used(camera.device for camera in self._cameras.values())
        return Camera(plan, device, self._observer, self._clock, reconnect=self._reconnect)

    def _begin(self, camera: Camera) -> None:
        if camera.plan.name in self._paused:
            camera.pause()
        if camera.plan.name in self._unrecorded:
            camera.record(False)
        camera.start()


def _note(names: set[str], name: str, wanted: bool) -> None:
    (names.add if wanted else names.discard)(name)


def _kept(plan: CameraPlan, rule: EventSettings) -> KeptCamera:
    output, live = plan.settings.output, plan.settings.live
    has_video = plan.record != "never" and output.video != "off"
    style = style_of(plan.settings.render, plan.tracking)
    return KeptCamera(
        output.local_folder / plan.name, rule, style, live.segment if has_video else None
    )


def make_retention(folder: Path, settings: RetentionSettings, clock: Clock) -> Retention:
    return Retention(folder, clock=clock, **settings.model_dump())
