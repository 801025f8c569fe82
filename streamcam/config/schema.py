"""Every setting with its default, its bounds and its description.

`config.toml` at the top of the project is made from this file, see `streamcam.config.toml`.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.config.camera_schema import CameraSettings, LiveSettings, RetentionSettings
from streamcam.config.section import NameList, Section, SinkTables


class ModelSettings(Section):
    """The detector and the device that runs it."""

    name: str = Field(
        "nano",
        min_length=1,
        description="Detector: the built-in `nano`, or any name from `streamcam models list`.",
    )
    weights: str | None = Field(
        None,
        description="File with weights of your own (.pt, .pth, .safetensors), or `random`. "
        "Unset: the model's published weights.",
        examples=["/srv/weights/my-detector.pth"],
    )
    labels: Path | None = Field(
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
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least confidence of a detection. Unset: the model's own preset.",
        examples=[0.5],
    )
    classes: NameList = Field(
        (), description='Only these classes, by name, e.g. ["person", "dog"]. Empty: all.'
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where the model runs: `auto`, `cpu`, `cuda` or `cuda:N`.",
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto",
        description="Arithmetic of the forward pass: `auto`, `fp32`, `fp16` or `bf16`. `auto` "
        "takes half precision where the hardware has units for it.",
    )
    batch: int = Field(8, ge=1, le=256, description="Most frames in one forward pass.")
    max_wait: float = Field(
        0.05,
        ge=0,
        le=5,
        description="Seconds that a file's frame waits for others to share its forward pass; "
        "cameras' frames never wait.",
    )


def _check_method(name: str) -> str:
    if name not in METHODS:
        known = [repr(method) for method in METHODS]
        expected = f"{', '.join(known[:-1])} or {known[-1]}"
        raise ValueError(f"must be {expected}, not {name!r}")
    return name


class CamSettings(Section):
    """The map: what the detector looks at."""

    method: Annotated[
        str,
        AfterValidator(_check_method),
        WithJsonSchema({"type": "string", "enum": list(METHODS)}),
    ] = Field(
        EIGENCAM,
        description="How the map is made. "
        + " ".join(f"`{method.name}`: {method.meaning}." for method in METHODS.values())
        + " All but `eigencam` tell why boxes got their scores. See docs/explanations.md.",
    )
    explain: Literal["box", "frame"] = Field(
        "box",
        description="With a method other than `eigencam`: `box` makes a map for each box, `frame` "
        "one for the scores of all of them.",
    )
    why_every: int = Field(
        1,
        ge=1,
        description="With a method other than `eigencam`: explain the boxes of every n-th "
        "explained frame; the frames in between have EigenCAM's map.",
    )
    why_top: int = Field(
        5,
        ge=1,
        le=100,
        description="With a method other than `eigencam`: explain so many boxes of a frame, the "
        "most confident.",
    )
    grid: Literal["fine", "pool"] = Field(
        "fine",
        description="Cells of the map: `fine` (a cell for every 16 pixels of the model's input) or "
        "`pool` (the coarsest pyramid level, as grad-cam's own examples do).",
    )


class SamplingSettings(Section):
    """Which frames are explained."""

    max_fps: float = Field(
        5.0,
        gt=0,
        le=1000,
        description="Explained frames per second of the source's own time, by timestamps.",
    )
    every: int | None = Field(
        None,
        ge=1,
        description="Explain every n-th frame instead; `max_fps` is ignored then.",
        examples=[10],
    )
    start: float = Field(0.0, ge=0, description="Skip this many seconds of every video.")
    end: float | None = Field(
        None, gt=0, description="Stop at this second of every video.", examples=[60.0]
    )

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must lie after start ({self.start:g} s)")
        return self


class RenderSettings(Section):
    """How the annotated pictures look."""

    colormap: Literal["inferno", "magma", "viridis", "turbo", "jet"] = Field(
        "inferno", description="Colours of the heat: `inferno`, `magma`, `viridis`, `turbo`, `jet`."
    )
    opacity: float = Field(
        0.7, ge=0, le=1, description="How much of the picture the hottest heat covers, 0..1."
    )
    legend: bool = Field(True, description="Tell in a corner what the heat is and how it reads.")
    timestamp: bool = Field(True, description="Tell in a corner the frame's time.")


class OutputSettings(Section):
    """What is written, and where."""

    folder: Path = Field(Path("streamcam-output"), description="Folder for the results.")
    overwrite: bool = Field(
        False, description="Explain again what has results already; otherwise it is skipped."
    )
    video: Literal["sampled", "full", "off"] = Field(
        "sampled",
        description="`sampled`: a video of exactly the explained frames. `full`: every frame, the "
        "last map held and its age shown. `off`: records only.",
    )
    save_maps: Literal["off", "png", "npz"] = Field(
        "off",
        description="Write the maps too, for programs: `png` (16 bits, a file for every map) or "
        "`npz` (float32, one file for every source).",
    )
    encoder: Literal["auto", "libx264", "h264_nvenc"] = Field(
        "auto",
        description="H.264 encoder: `libx264`, `h264_nvenc`, or `auto`: the GPU's where it works.",
    )
    audio: bool = Field(True, description="Carry the source's sound into the video.")
    workers: int = Field(
        2, ge=1, le=64, description="Files worked on at once; their frames share batches."
    )


class WatchSettings(Section):
    """Watched folders: which files are taken, when, and what becomes of them."""

    recursive: bool = Field(True, description="Take the files of the folders below too.")
    include: NameList = Field(
        (),
        description='Only files whose name or path matches, e.g. ["*.mp4", "cam1/*"]. Empty: '
        "whatever is named like a video or picture.",
    )
    exclude: NameList = Field(
        (), description='Never files or folders whose name or path matches, e.g. ["*-raw.*"].'
    )
    settle: float = Field(
        2.0,
        gt=0,
        le=3600,
        description="Seconds that a file must stand still, and closed, before it is taken.",
    )
    poll: bool = Field(
        False, description="Look at the folders regularly, for file systems without events (NFS)."
    )
    poll_interval: float = Field(
        5.0, gt=0, le=3600, description="Seconds between looks at a folder without events."
    )
    rescan: float = Field(
        60.0,
        gt=0,
        le=86400,
        description="Seconds between looks at a folder with events: some get lost.",
    )
    after: str = Field(
        "keep",
        pattern=r"^(keep|delete|move:.+)$",
        description="What becomes of explained files: `keep`, `delete`, or `move:DIR`.",
    )
    state: Path | None = Field(
        None,
        description="Folder of the job store. Unset: beside the output folder, `NAME.state`.",
        examples=["/var/lib/streamcam"],
    )
    min_free: int = Field(
        500,
        ge=0,
        description="Megabytes that must be free for results before another file is taken.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="How often a file is tried before it is set aside as failed: after errors that "
        "may pass, and when the process crashed while it worked on the file.",
    )
    retry_delay: float = Field(
        10.0,
        ge=0,
        le=86400,
        description="Seconds before the second attempt; doubled before each further one.",
    )
    grace: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds that running files get to end when the watcher is stopped; what does "
        "not end by then is begun anew at the next start.",
    )


class FolderSettings(Section):
    """A folder that `streamcam serve` watches; how, is as in [watch]."""

    path: Path = Field(description="The folder.", examples=["/srv/streamcam/incoming"])


class HttpSettings(Section):
    """The live page, the API, health and metrics, as `streamcam serve` offers them."""

    enabled: bool = Field(True, description="Whether they are offered.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. Any but this machine's own needs a token: `0.0.0.0` is "
        "every network that the machine is in.",
    )
    port: int = Field(8719, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    token_file: Path | None = Field(
        None,
        description="File that holds the token which visitors must know, at least 16 characters. "
        "Unset: everybody on this machine may look.",
        examples=["/etc/streamcam/token"],
    )
    max_clients: int = Field(
        64,
        ge=1,
        le=1000,
        description="Requests that are answered at a time; a watching page has one open, and now "
        "and then two more.",
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
