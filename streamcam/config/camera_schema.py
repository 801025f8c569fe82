"""Settings of cameras and of their recordings."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from streamcam.config.event_schema import CameraEventSettings
from streamcam.config.fields import (
    BareUnit,
    Duration,
    Flag,
    Form,
    NameList,
    Section,
    SinkTables,
    Size,
    unknown,
)
from streamcam.config.tracking_schema import LINE_EXAMPLE, ZONE_EXAMPLE, LineTables, ZoneTables

_FILES = "files"
"""The name of all files of watched folders in metrics that have a camera's name."""


class LiveSettings(Section):
    """Cameras and streams: defaults for each of them."""

    max_fps: Annotated[float, Flag()] = Field(
        5.0, gt=0, le=1000, description="Maximum number of explained frames per second."
    )
    record: Annotated[Literal["always", "detections", "never"], Flag()] = Field(
        "always",
        description="What is recorded, picture and records: `always`, `detections` (and some "
        "seconds before and after), `never`.",
    )
    segment: Annotated[Duration, Flag()] = Field(
        60.0, ge=1, le=3600, description="Length of one recorded file."
    )
    pre_roll: Duration = Field(
        5.0, ge=0, le=60, description="Time recorded before the first detection."
    )
    post_roll: Duration = Field(
        5.0, ge=0, le=3600, description="Time recorded after the last detection."
    )
    open_timeout: Duration = Field(
        10.0, gt=0, le=600, description="How long a camera may take to answer."
    )
    read_timeout: Duration = Field(
        10.0,
        gt=0,
        le=600,
        description="Time without any data after which a camera is connected again.",
    )


class CameraSettings(Section):
    """A camera or stream; what it leaves out is as in [live] and [model]."""

    name: Annotated[
        str,
        Form("up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"),
        Flag(),
    ] = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="Its name in results, logs and pages, and of its folder.",
        examples=["yard"],
    )
    url: str = Field(
        min_length=1,
        description="Where it is read from: RTSP, HTTP, HLS, a device such as /dev/video0, "
        "`demo://street`, or what `format` takes.",
        examples=["rtsp://user:password@10.0.0.5/stream1"],
    )
    format: Annotated[str | None, Flag()] = Field(
        None,
        description="FFmpeg's input format, where the URL does not determine it, e.g. `lavfi`.",
        examples=["v4l2"],
    )
    options: dict[str, str] = Field(
        default_factory=dict,
        description="FFmpeg's options for reading it.",
        examples=[{"rtsp_transport": "udp"}],
    )
    enabled: bool = Field(True, description="Whether it is read at all.")
    max_fps: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Maximum number of explained frames per second.",
        examples=[2.0],
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="Its own detector.",
        examples=["ssdlite320_mobilenet_v3_large"],
    )
    weights: str | None = Field(
        None, description="File with weights for its own detector.", examples=["/srv/own.pth"]
    )
    labels: Path | None = Field(
        None, description="File with the class names for `weights`.", examples=["/srv/own.txt"]
    )
    confidence: float | None = Field(
        None, ge=0, le=1, description="Minimum confidence of a detection, 0..1.", examples=[0.5]
    )
    classes: NameList | None = Field(
        None, description="Only these classes, by name.", examples=[["person", "dog"]]
    )
    ignore: tuple[tuple[float, ...], ...] = Field(
        (),
        description="Regions whose detections do not count, where these stand: polygons as x, y, "
        "x, y, ... in shares of the width and height, 0..1; four numbers are a box.",
        examples=[[[0.0, 0.0, 1.0, 0.2]]],
    )
    track: bool | None = Field(
        None,
        description="Number its objects. On by itself where zones, lines or events need it.",
        examples=[True],
    )
    zones: ZoneTables = Field(
        (),
        description="Its zones, a table `[[camera.zones]]` for each: who enters, who leaves, after "
        "how long. Polygons as in `ignore`.",
        examples=[ZONE_EXAMPLE],
    )
    lines: LineTables = Field(
        (),
        description="Its lines, a table `[[camera.lines]]` for each: who crosses them, in which "
        "direction. Who looks from the first point to the second counts `in` from left to right.",
        examples=[LINE_EXAMPLE],
    )
    record: Literal["always", "detections", "never"] | None = Field(
        None, description="What is recorded.", examples=["detections"]
    )
    publish: Annotated[str | None, Form("an rtsp, rtmp, srt, udp or tcp URL"), Flag()] = Field(
        None,
        pattern=r"^(rtsps?|rtmps?|srt|udp|tcp)://",
        description="Where the annotated pictures are sent, as H.264: rtsp, rtmp, srt, udp, tcp.",
        examples=["rtsp://127.0.0.1:8554/yard"],
    )
    events: CameraEventSettings | None = Field(
        None,
        description="A table `[camera.events]` turns on the camera's events, and holds what "
        "differs from [events].",
        examples=[CameraEventSettings(classes=("person",), min_seconds=2.0)],
    )
    sinks: SinkTables = Field(
        {}, description="Further sinks of this camera alone, or other settings of those in [sinks]."
    )

    @field_validator("events")
    @classmethod
    def _knows_its_zones(
        cls, events: CameraEventSettings | None, info: ValidationInfo
    ) -> CameraEventSettings | None:
        zones = [zone.name for zone in info.data.get("zones", ())]
        for name in (events and events.zones) or ():
            if name not in zones:
                raise ValueError(f"zones: {name!r} is {unknown(name, zones)}")
        return events

    @field_validator("name")
    @classmethod
    def _is_not_reserved(cls, name: str) -> str:
        if name.casefold() == _FILES:
            raise ValueError(f"{name!r} is the name of the files of watched folders")
        return name

    @field_validator("ignore")
    @classmethod
    def _are_polygons(cls, regions: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        for region in regions:
            if len(region) < 4 or len(region) % 2:
                raise ValueError("a region is x, y, x, y, ...: two points (a box) or more")
            if not all(0 <= number <= 1 for number in region):
                raise ValueError("regions are in shares of the width and height, 0..1")
        return regions


class RetentionSettings(Section):
    """Recordings of cameras: how long they are kept."""

    max_age: Annotated[Duration | None, BareUnit("d")] = Field(
        None, gt=0, description="How long videos are kept. Unset: for ever.", examples=[7 * 86400.0]
    )
    max_age_records: Annotated[Duration | None, BareUnit("d")] = Field(
        None,
        gt=0,
        description="How long records are kept. Unset: for ever.",
        examples=[365 * 86400.0],
    )
    max_bytes: Size | None = Field(
        None,
        gt=0,
        le=10**15,
        description="Space that recordings may take; the oldest videos are deleted first, "
        "records only when no video is left. Unset: no limit.",
        examples=[200 * 10**9],
    )
    min_free: Size = Field(
        1_000_000_000,
        ge=0,
        le=10**15,
        description="Space that has to stay free on their disk; the oldest are deleted first.",
    )
