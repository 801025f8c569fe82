"""Every setting with its default, its bounds, its description and its flag.

The options of the commands, `config.toml` and `docs/reference.md` are generated from this file: see
`make config` and `make reference`.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.config.camera_schema import CameraSettings, LiveSettings, RetentionSettings
from streamcam.config.fields import BareUnit, Duration, Flag, NameList, Section, SinkTables, Size


class ModelSettings(Section):
    """The detector and the device that runs it."""

    name: Annotated[str, Flag("model", "-m")] = Field(
        "nano",
        min_length=1,
        description="Detector: the built-in `nano`, or any name from `streamcam models list`.",
    )
    weights: Annotated[str | None, Flag()] = Field(
        None,
        description="File with weights of your own (.pt, .pth, .safetensors), or `random`. "
        "Unset: the model's published weights.",
        examples=["/srv/weights/my-detector.pth"],
    )
    labels: Annotated[Path | None, Flag()] = Field(
        None,
        description="File with the class names for `weights`: one a line, or JSON.",
        examples=["/srv/weights/my-labels.txt"],
    )
    library: Path | None = Field(
        None,
        description="Folder of the models that `streamcam models import` keeps. Unset: "
        "streamcam/models in the user's data folder.",
        examples=["/var/lib/streamcam/models"],
    )
    confidence: Annotated[float | None, Flag()] = Field(
        None,
        ge=0,
        le=1,
        description="Minimum confidence of a detection, 0..1. Unset: the model's own preset.",
        examples=[0.5],
    )
    classes: Annotated[NameList, Flag()] = Field(
        (), description="Only these classes, by name, e.g. `person,dog`. Empty: all."
    )
    device: Annotated[str, Flag()] = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where the model runs: `auto`, `cpu`, `cuda` or `cuda:N`.",
    )
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16"], Flag(shorthand=("half", "fp16"))
    ] = Field(
        "auto",
        description="Arithmetic of the forward pass: `auto`, `fp32`, `fp16` or `bf16`. `auto` "
        "takes half precision where the hardware has units for it.",
    )
    batch: Annotated[int, Flag()] = Field(
        8, ge=1, le=256, description="Maximum batch size: frames in one forward pass."
    )
    max_wait: Duration = Field(
        0.05,
        ge=0,
        le=5,
        description="How long a file's frame waits for others to share its forward pass; "
        "cameras' frames never wait.",
    )


def _check_method(name: str) -> str:
    if name not in METHODS:
        known = [repr(method) for method in METHODS]
        expected = f"{', '.join(known[:-1])} or {known[-1]}"
        raise ValueError(f"must be {expected}, not {name!r}")
    return name


class CamSettings(Section):
    """The map: what the detector responds to."""

    method: Annotated[
        str,
        AfterValidator(_check_method),
        WithJsonSchema({"type": "string", "enum": list(METHODS)}),
        Flag(),
    ] = Field(
        EIGENCAM,
        description="How the map is made. "
        + " ".join(f"`{method.name}`: {method.meaning}." for method in METHODS.values())
        + " All but `eigencam` explain the scores of boxes. See docs/explanations.md.",
    )
    explain: Annotated[Literal["box", "frame"], Flag()] = Field(
        "box",
        description="With a method other than `eigencam`: `box` makes a map for each box, `frame` "
        "one for the scores of all of them.",
    )
    why_every: Annotated[int, Flag()] = Field(
        1,
        ge=1,
        description="With a method other than `eigencam`: explain the boxes of every n-th "
        "explained frame; the frames in between have EigenCAM's map.",
    )
    why_top: Annotated[int, Flag()] = Field(
        5,
        ge=1,
        le=100,
        description="With a method other than `eigencam`: explain at most N boxes of a frame, "
        "the most confident.",
    )
    grid: Annotated[Literal["fine", "pool"], Flag()] = Field(
        "fine",
        description="Cells of the map: `fine` (a cell for every 16 pixels of the model's input) or "
        "`pool` (the coarsest pyramid level, as grad-cam's own examples do).",
    )


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
        description="Explain every n-th frame instead; `max_fps` is ignored then.",
        examples=[10],
    )
    start: Annotated[Duration, Flag()] = Field(
        0.0, ge=0, description="Skip this much of every video."
    )
    end: Annotated[Duration | None, Flag()] = Field(
        None, gt=0, description="Stop at this time of every video.", examples=[60.0]
    )

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must lie after start ({self.start:g} s)")
        return self


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


class OutputSettings(Section):
    """What is written, and where."""

    folder: Annotated[Path, Flag("output", "-o")] = Field(
        Path("streamcam-output"), description="Folder for the results."
    )
    overwrite: Annotated[bool, Flag()] = Field(
        False, description="Explain sources again that have results; otherwise they are skipped."
    )
    video: Annotated[Literal["sampled", "full", "off"], Flag()] = Field(
        "sampled",
        description="`sampled`: a video of exactly the explained frames. `full`: every frame, the "
        "last map held and its age shown. `off`: records only.",
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
        2, ge=1, le=64, description="Files worked on at once; their frames share batches."
    )


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
    after: Annotated[str, Flag()] = Field(
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
    output: OutputSettings = OutputSettings()
    watch: WatchSettings = WatchSettings()
    live: LiveSettings = LiveSettings()
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
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
