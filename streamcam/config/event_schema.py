"""Settings of events: which tracked objects become one, and what is kept of them."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from streamcam.config.fields import Duration, Flag, NameList, Section


class EventSettings(Section):
    """Events: tracked objects that pass a rule, of files and of cameras."""

    enabled: Annotated[bool, Flag("events")] = Field(
        False,
        description="Find events in all files and cameras. A camera with a table `[camera.events]` "
        "has them in any case.",
    )
    classes: NameList = Field((), description="Only objects of these classes. Empty: all.")
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="Confidence that an object must reach once, 0..1."
    )
    min_seconds: Duration = Field(
        1.0, ge=0, le=3600, description="How long an object must have been there."
    )
    zones: NameList = Field(
        (), description="Only objects that stood in one of these zones. Empty: everywhere."
    )
    min_lift: float | None = Field(
        None,
        ge=0,
        description="Least focus: mean lift of the map on the object; 1 is no better than chance.",
        examples=[1.0],
    )
    max_lift: float | None = Field(
        None,
        ge=0,
        description="Greatest focus, to single out objects that the map lies off.",
        examples=[1.0],
    )
    pre_roll: Duration = Field(
        5.0, ge=0, le=60, description="Time in an event's clip before the object came."
    )
    post_roll: Duration = Field(
        5.0, ge=0, le=60, description="Time in an event's clip after the object had gone."
    )

    @field_validator("max_lift")
    @classmethod
    def _is_above_min(cls, most: float | None, info: ValidationInfo) -> float | None:
        return _ordered(most, info)

    def of_camera(self, own: "CameraEventSettings | None") -> "EventSettings | None":
        """Return the settings of a camera with a table of its own or without; None: no events."""
        if own is None:
            return self if self.enabled else None
        changes = {key: value for key, value in own if value is not None}
        return self.model_copy(update={**changes, "enabled": True})


class CameraEventSettings(Section):
    """A camera's rule for events; what it leaves out is as in [events]."""

    classes: NameList | None = Field(
        None, description="Only objects of these classes.", examples=[["person"]]
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Confidence that an object must reach once, 0..1."
    )
    min_seconds: Duration | None = Field(
        None, ge=0, le=3600, description="How long an object must have been there."
    )
    zones: NameList | None = Field(
        None, description="Only objects that stood in one of these zones.", examples=[["door"]]
    )
    min_lift: float | None = Field(
        None, ge=0, description="Least focus: mean lift of the map on the object."
    )
    max_lift: float | None = Field(
        None, ge=0, description="Greatest focus: mean lift of the map on the object."
    )
    pre_roll: Duration | None = Field(
        None, ge=0, le=60, description="Time in an event's clip before the object came."
    )
    post_roll: Duration | None = Field(
        None, ge=0, le=60, description="Time in an event's clip after the object had gone."
    )

    @field_validator("max_lift")
    @classmethod
    def _is_above_min(cls, most: float | None, info: ValidationInfo) -> float | None:
        return _ordered(most, info)


def _ordered(most: float | None, info: ValidationInfo) -> float | None:
    least = info.data.get("min_lift")
    if most is not None and least is not None and most <= least:
        raise ValueError(f"must be more than min_lift ({least:g}), not {most:g}")
    return most
