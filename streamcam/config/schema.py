"""Every setting with its default, its bounds, its description and its flag.

The options of the commands, `config.toml` and `docs/reference.md` are generated from this file and
those of its larger parts, `model_schema`, `camera_schema`, `event_schema`,
`notification_schema` and `ray_schema`: see `make config reference`.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from streamcam.config.camera_schema import CameraSettings, LiveSettings, RetentionSettings
from streamcam.config.event_schema import EventSettings
from streamcam.config.fields import (
    BareUnit,
    Duration,
    Flag,
    Form,
    NameList,
    Pixels,
    ResultRoot,
    Section,
    SinkTables,
    Size,
)
from streamcam.config.model_schema import CamSettings, ModelSettings
from streamcam.config.notification_schema import MqttSettings, WebhookSettings
from streamcam.config.ray_schema import RaySettings
from streamcam.config.tracking_schema import TrackingSettings
from streamcam.errors import UsageError
from streamcam.urls import StorageUrl


class SamplingSettings(Section):
    """Which frames are explained."""

    max_fps: Annotated[float, Flag()] = Field(
        5.0,
        gt=0,
        le=1000,
        description="Explained frames per second of the source's own time, by timestamps.",
    )
    every: Annotated[int | None, Flag()] = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Explain every n-th frame instead; `max_fps` is ignored then.",
        examples=[10],
    )
    start: Annotated[Duration, Flag()] = Field(
        0.0, ge=0, description="Skip this much of every video."
    )
    end: Annotated[Duration | None, Flag()] = Field(
        None, gt=0, description="Stop at this time of every video.", examples=[60.0]
    )

    @field_validator("end")
    @classmethod
    def _is_after_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        start = info.data.get("start", 0.0)
        if end is not None and end <= start:
            raise ValueError(f"must lie after the start ({start:g} s), not at {end:g} s")
        return end


class RenderSettings(Section):
    """How the annotated pictures look."""

    colormap: Annotated[Literal["inferno", "magma", "viridis", "turbo", "jet"], Flag()] = Field(
        "inferno", description="Colours of the heat: `inferno`, `magma`, `viridis`, `turbo`, `jet`."
    )
    opacity: Annotated[float, Flag()] = Field(
        0.7, ge=0, le=1, description="How much of the picture the hottest heat covers, 0..1."
    )
    legend: bool = Field(True, description="Show in a corner what the heat means.")
    timestamp: bool = Field(True, description="Show the frame's time in a corner.")


class LimitsSettings(Section):
    """What a file may ask for, so that memory does not depend on what it says of itself."""

    picture_pixels: Pixels = Field(
        64_000_000,
        ge=1,
        le=10**9,
        description="Largest picture. A larger one is decoded at a half, a quarter or an eighth of "
        "its size where the format can (JPEG that is not progressive), and refused otherwise.",
    )
    frame_pixels: Pixels = Field(
        36_000_000,
        ge=1,
        le=10**9,
        description="Largest frame of a video or camera; 8K has 33MP.",
    )
    pages: int = Field(
        10_000,
        ge=1,
        le=10**9,
        description="Most pictures in an animated WebP. Of a TIFF with several pages the first is "
        "explained.",
    )
    frame_timeout: Duration = Field(
        60.0,
        gt=0,
        le=86400,
        description="How long a file is read and decoded without a frame before it is given up.",
    )


class OutputSettings(Section):
    """What is written, and where."""

    folder: Annotated[ResultRoot, Flag("output", "-o")] = Field(
        Path("streamcam-output"),
        description="Folder for the results; of `run` also object storage, `s3://bucket/prefix`.",
    )
    overwrite: Annotated[bool, Flag()] = Field(
        False,
        description="Explain sources again whose results are complete; otherwise they are skipped.",
    )
    skip_existing: Annotated[bool, Flag()] = Field(
        False,
        description="Skip sources that have complete results, whatever they were made with; "
        "otherwise those of another model, method or setting are replaced.",
    )
    video: Annotated[Literal["sampled", "full", "off"], Flag()] = Field(
        "sampled",
        description="`sampled`: a video of exactly the explained frames. `full`: every frame, the "
        "last map held and its age shown. `off`: records only.",
    )
    records: Annotated[Literal["jsonl", "parquet", "both"], Flag()] = Field(
        "jsonl",
        description="Form of the records of files: `jsonl` (a line of JSON for every explained "
        "frame), `parquet` (a table of frames and one of detections, for DuckDB, polars or Spark) "
        "or `both`. Recordings of cameras are JSON lines; `streamcam export parquet` makes tables "
        "of them.",
    )
    save_maps: Annotated[Literal["off", "png", "npz"], Flag()] = Field(
        "off",
        description="Write the maps too, for programs: `png` (16 bits, a file for every map) or "
        "`npz` (float32, one file for every source).",
    )
    encoder: Annotated[Literal["auto", "libx264", "h264_nvenc"], Flag()] = Field(
        "auto",
        description="H.264 encoder: `libx264`, `h264_nvenc`, or `auto`: the GPU's where it works.",
    )
    audio: Annotated[bool, Flag()] = Field(
        True, description="Carry the source's sound into the video."
    )
    workers: Annotated[int, Flag()] = Field(
        2,
        ge=1,
        le=64,
        description="Files worked on at once, at least one for each device; the frames of those on "
        "one device share batches.",
    )
    split: Annotated[Duration | None, Flag()] = Field(
        None,
        ge=1,
        le=86400,
        description="Work on longer videos in pieces of this length, joined at the end (`run`).",
        examples=[600.0],
    )

    @property
    def local_folder(self) -> Path:
        """The folder for results, for those that write them in place.

        Raises:
            UsageError: It is in object storage.
        """
        if isinstance(self.folder, StorageUrl):
            raise UsageError(
                f"--output: {self.folder} is in object storage, where only `streamcam run` writes",
                hint="Name a folder, and copy what is in it, e.g. with rclone.",
            )
        return self.folder

    @field_validator("skip_existing")
    @classmethod
    def _does_not_contradict(cls, skip: bool, info: ValidationInfo) -> bool:
        if skip and info.data.get("overwrite"):
            raise ValueError("contradicts overwrite")
        return skip


class WatchSettings(Section):
    """Watched folders: which files are taken, when, and what becomes of them."""

    recursive: Annotated[bool, Flag()] = Field(
        True, description="Take the files of the folders below too."
    )
    include: Annotated[NameList, Flag()] = Field(
        (),
        description="Only files whose name or path matches, e.g. `*.mp4,cam1/*`. Empty: "
        "whatever is named like a video or picture.",
    )
    exclude: Annotated[NameList, Flag()] = Field(
        (), description="Never files or folders whose name or path matches, e.g. `*-raw.*`."
    )
    settle: Annotated[Duration, Flag()] = Field(
        2.0,
        gt=0,
        le=3600,
        description="How long a file must be closed and unchanged before it is taken.",
    )
    poll: Annotated[bool, Flag()] = Field(
        False, description="Scan the folders regularly, for file systems without events (NFS)."
    )
    poll_interval: Duration = Field(
        5.0, gt=0, le=3600, description="Time between scans of a folder without events."
    )
    rescan: Duration = Field(
        60.0,
        gt=0,
        le=86400,
        description="Time between scans of a folder with events, some of which get lost.",
    )
    after: Annotated[str, Form("keep, delete or move:FOLDER"), Flag()] = Field(
        "keep",
        pattern=r"^(keep|delete|move:.+)$",
        description="What happens to explained files: `keep`, `delete`, or `move:DIR`.",
    )
    state: Annotated[Path | None, Flag()] = Field(
        None,
        description="Folder of the job store. Unset: beside the output folder, `NAME.state`.",
        examples=["/var/lib/streamcam"],
    )
    min_free: Annotated[Size, BareUnit("MB")] = Field(
        500_000_000,
        ge=0,
        le=10**15,
        description="Space that must be free for results before another file is taken.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="How often a file is tried before it is set aside as failed: after errors that "
        "may pass, and when the process crashed while it worked on the file.",
    )
    retry_delay: Duration = Field(
        10.0,
        ge=0,
        le=86400,
        description="Pause before the second attempt; doubled before each further one.",
    )
    grace: Duration = Field(
        5.0,
        ge=0,
        le=3600,
        description="Time that running files get to end when the watcher is stopped; what does "
        "not end by then starts again at the next start.",
    )


class FolderSettings(Section):
    """A folder that `streamcam serve` watches; how, is as in [watch]."""

    path: Path = Field(description="The folder.", examples=["/srv/streamcam/incoming"])


class HttpSettings(Section):
    """The live page, the API, health and metrics of `streamcam serve`."""

    enabled: bool = Field(True, description="Whether they are served.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. Any but this machine's own needs a token: `0.0.0.0` is "
        "every network that the machine is in.",
    )
    port: int = Field(8719, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    token_file: Path | None = Field(
        None,
        description="File with the token that visitors must know, at least 16 characters. "
        "Unset: everybody on this machine has access.",
        examples=["/etc/streamcam/token"],
    )
    max_clients: int = Field(
        64,
        ge=1,
        le=1000,
        description="Maximum number of concurrent requests; an open page holds one, and briefly "
        "two more.",
    )


class Settings(Section):
    """All settings, a section per concern."""

    model: ModelSettings = ModelSettings()
    cam: CamSettings = CamSettings()
    sampling: SamplingSettings = SamplingSettings()
    render: RenderSettings = RenderSettings()
    limits: LimitsSettings = LimitsSettings()
    output: OutputSettings = OutputSettings()
    ray: RaySettings = RaySettings()
    watch: WatchSettings = WatchSettings()
    live: LiveSettings = LiveSettings()
    retention: RetentionSettings = RetentionSettings()
    tracking: TrackingSettings = TrackingSettings()
    events: EventSettings = EventSettings()
    http: HttpSettings = HttpSettings()
    mqtt: MqttSettings = MqttSettings()
    webhook: tuple[WebhookSettings, ...] = Field(
        (), description="URLs that events are posted to, a table `[[webhook]]` for each."
    )
    folder: tuple[FolderSettings, ...] = Field(
        (), description="Folders that `streamcam serve` watches, a table `[[folder]]` for each."
    )
    sinks: SinkTables = Field(
        {},
        description="Further sinks, for files and cameras alike: a table `[sinks.NAME]` turns one "
        "on and holds its settings. See docs/extending.md.",
    )
    camera: tuple[CameraSettings, ...] = Field(
        (), description="Cameras and streams, a table `[[camera]]` for each."
    )

    @property
    def file_tracking(self) -> TrackingSettings | None:
        """How objects in files are tracked; None where they are not."""
        if not self.tracking.on and not self.events.enabled:
            return None
        return self.tracking.model_copy(update={"enabled": True})

    @field_validator("camera")
    @classmethod
    def _have_different_names(
        cls, cameras: tuple[CameraSettings, ...]
    ) -> tuple[CameraSettings, ...]:
        names = Counter(camera.name.casefold() for camera in cameras)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"two cameras are called {twice[0]!r}")
        return cameras


def sections() -> Mapping[str, type[Section]]:
    """Return the tables of the configuration by name: sections, and those that may be repeated."""
    found: dict[str, type[Section]] = {}
    for name, field in Settings.model_fields.items():
        kind = next(iter(get_args(field.annotation)), field.annotation)
        if isinstance(kind, type) and issubclass(kind, Section):
            found[name] = kind
    return found
