"""The routes of a camera's zones, lines and ignore regions: what the file says, and changes of it.

A change is shown as a diff of the configuration file first; what was looked at is then saved, or
refused where the file has changed since.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from streamcam.config.camera_edit import Values
from streamcam.errors import ConfigError, StreamcamError
from streamcam.service.http.answers import message
from streamcam.service.http.auth import UNCHANGEABLE, Access
from streamcam.service.region_editor import KEYS, RegionEditor
from streamcam.service.service_status import ServiceStatus

Points = list[Annotated[float, Field(ge=0, le=1)]]


class NamedRegion(BaseModel):
    """A zone or a line."""

    name: str
    points: Points = Field(description="x, y, x, y, ... in shares of the width and height, 0..1.")


class CameraRegions(BaseModel):
    """A camera's zones, lines and ignore regions."""

    zones: list[NamedRegion] = []
    lines: list[NamedRegion] = []
    ignore: list[Points] = Field(
        [], description="Polygons as x, y, x, y, ... in shares, 0..1; four numbers are a box."
    )

    def values(self) -> Values:
        return self.model_dump(include=set(KEYS))


class RegionsAnswer(CameraRegions):
    """A camera's regions as they stand in the configuration file."""

    in_force: bool = Field(description="Whether the running service has these.")
    obstacle: str | None = Field(description="Why they cannot be changed here; null: they can.")


class DiffAnswer(BaseModel):
    """What a change does to the configuration file."""

    revision: str = Field(description="Of the file that was looked at; needed to save.")
    diff: list[str] = Field(description="Lines of a unified diff; none where nothing changes.")


class RegionsRequest(CameraRegions):
    """Regions to be saved."""

    revision: str = Field(description="As the diff told.")


class RegionRoutes:
    """The routes of zones, lines and ignore regions."""

    def __init__(self, service: ServiceStatus, editor: RegionEditor, access: Access) -> None:
        self._service = service
        self._editor = editor
        self._access = access
        self.router = APIRouter(prefix="/api/cameras/{name}/regions", tags=["cameras"])
        self.router.get("")(self.regions)
        change = [Depends(access.check_change)]
        self.router.post("/diff", dependencies=change)(self.diff)
        self.router.put("", dependencies=change, status_code=HTTPStatus.NO_CONTENT)(self.save)

    def regions(self, name: str) -> RegionsAnswer:
        """A camera's zones, lines and ignore regions, and whether they can be changed here."""
        running = self._running(name)
        if not self._access.needs_token:
            return _fixed(running, UNCHANGEABLE)
        try:
            saved = CameraRegions.model_validate(self._editor.regions(name))
        except StreamcamError as error:
            return _fixed(running, _in_words(error))
        return RegionsAnswer(**dict(saved), in_force=saved == running, obstacle=None)

    def diff(self, name: str, regions: CameraRegions) -> DiffAnswer:
        """What saving these regions would do to the configuration file; nothing is changed yet."""
        try:
            change = self._editor.preview(name, regions.values())
        except StreamcamError as error:
            raise _refusal(error) from error
        return DiffAnswer(revision=change.revision, diff=list(change.diff))

    def save(self, name: str, regions: RegionsRequest) -> None:
        """Save regions in the configuration file, which the service then reads again."""
        try:
            self._editor.save(name, regions.values(), regions.revision)
        except StreamcamError as error:
            raise _refusal(error) from error

    def _running(self, name: str) -> CameraRegions:
        for camera in self._service.settings.camera:
            if camera.name == name:
                return CameraRegions.model_validate(camera.model_dump(include=set(KEYS)))
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such camera")


def _fixed(running: CameraRegions, obstacle: str) -> RegionsAnswer:
    return RegionsAnswer(**dict(running), in_force=True, obstacle=obstacle)


def _refusal(error: StreamcamError) -> HTTPException:
    """Return 422 for what the settings may not be, 409 for what the file does not allow now."""
    bad = isinstance(error, ConfigError)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if bad else HTTPStatus.CONFLICT
    return HTTPException(status, _in_words(error))


def _in_words(error: StreamcamError) -> str:
    return message(". ".join(filter(None, (str(error), error.hint))))
