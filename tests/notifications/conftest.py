"""What notifications are tested with: changes of events, statuses, cameras that take commands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from streamcam.events.event import Event, EventChange, EventFocus, EventStage, Moment, Suspicion
from streamcam.types import CameraState, CameraStatus
from tests.servers import mosquitto

BEGIN = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
VALIDATOR = jsonschema.Draft202012Validator(schemas.schema("event_message"))


def moment(seconds: float) -> Moment:
    return Moment(round(seconds * 5), seconds, BEGIN + timedelta(seconds=seconds))


def event(number: int = 1) -> Event:
    """Return an event of two seconds' age."""
    return Event(
        id=f"1740830400.{number:06d}-abc123",
        source="yard",
        label="person",
        class_id=1,
        track_id=number,
        begin=moment(0),
        best=moment(1),
        end=None,
        box=(10.0, 20.0, 30.25, 60.0),
        confidence=0.875,
        zones=("door", "path"),
        frames=11,
        focus=EventFocus(1.75, 0.5, 0.25),
        suspicions=(Suspicion.FLICKERING,),
        latest=moment(2),
        current_zones=("path",),
    )


def new(number: int = 1) -> EventChange:
    return EventChange(EventStage.NEW, event(number))


def update(number: int = 1, frames: int = 12) -> EventChange:
    return EventChange(EventStage.UPDATE, replace(event(number), frames=frames), event(number))


def end(number: int = 1) -> EventChange:
    ended = replace(event(number), end=moment(3), current_zones=())
    return EventChange(EventStage.END, ended, event(number))


def camera(
    name: str = "yard",
    state: CameraState = CameraState.LIVE,
    *,
    recording: bool | None = True,
) -> CameraStatus:
    return CameraStatus(name, "rtsp://10.0.0.5/a", state, since=0.0, recording=recording)


class StubControl:
    """Cameras that remember what they were told, and say so.

    Attributes:
        observe: Called with a camera's status whenever it changes.
    """

    def __init__(self, *cameras: CameraStatus) -> None:
        self.cameras = {each.name: each for each in cameras}
        self.commands: list[tuple[str, str, bool]] = []
        self.observe: Callable[[CameraStatus], None] = lambda _: None

    def pause(self, name: str, paused: bool) -> bool:
        state = CameraState.PAUSED if paused else CameraState.LIVE
        return self._change(name, "pause", paused, state=state)

    def record(self, name: str, on: bool) -> bool:
        return self._change(name, "record", on, recording=on)

    def statuses(self) -> list[CameraStatus]:
        return list(self.cameras.values())

    def _change(self, name: str, what: str, wanted: bool, **fields: object) -> bool:
        self.commands.append((name, what, wanted))
        if name not in self.cameras:
            return False
        self.cameras[name] = replace(self.cameras[name], **fields)  # type: ignore[arg-type]
        self.observe(self.cameras[name])
        return True


@pytest.fixture(scope="module")
def broker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for brokers, where there are any."""
    mosquitto.require()
    return tmp_path_factory.mktemp("broker")
