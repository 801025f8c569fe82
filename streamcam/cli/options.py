"""Options that several commands share, in the field's words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcam.cam_methods import methods_help
from streamcam.config.load import ENV_CONFIG
from streamcam.errors import UsageError

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (TOML).", envvar=ENV_CONFIG),
]
State = Annotated[Path | None, typer.Option("--state", help="Folder of the job store.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Detector, see `streamcam models list`.")
]
Weights = Annotated[
    str | None, typer.Option("--weights", help="File with weights of your own, or `random`.")
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="File with the class names for --weights.")
]
Confidence = Annotated[
    float | None, typer.Option("--confidence", help="Least confidence of a detection, 0..1.")
]
Classes = Annotated[
    str | None, typer.Option("--classes", help="Only these classes, e.g. `person,dog`.")
]
Device = Annotated[str | None, typer.Option("--device", help="`auto`, `cpu`, `cuda` or `cuda:N`.")]
Precision = Annotated[
    str | None, typer.Option("--precision", help="`auto`, `fp32`, `fp16` or `bf16`.")
]
Half = Annotated[bool, typer.Option("--half", help="Short for --precision fp16.")]
Batch = Annotated[int | None, typer.Option("--batch", help="Most frames in one forward pass.")]
MaxFps = Annotated[
    float | None, typer.Option("--max-fps", help="Explained frames per second of video.")
]
Every = Annotated[
    int | None, typer.Option("--every", help="Explain every n-th frame instead of --max-fps.")
]
Start = Annotated[float | None, typer.Option("--start", help="Skip this many seconds.")]
End = Annotated[float | None, typer.Option("--end", help="Stop at this second.")]
Method = Annotated[
    str | None,
    typer.Option("--method", help=methods_help()),
]
Explain = Annotated[
    str | None,
    typer.Option("--explain", help="With such a method: a map for each `box`, or one per `frame`."),
]
WhyEvery = Annotated[
    int | None,
    typer.Option("--why-every", help="Explain the boxes of every n-th explained frame only."),
]
WhyTop = Annotated[
    int | None, typer.Option("--why-top", help="Explain so many boxes, the most confident.")
]
SaveMaps = Annotated[
    str | None,
    typer.Option("--save-maps", help="Write the maps too: `png` (16 bits), `npz` or `off`."),
]
Grid = Annotated[str | None, typer.Option("--grid", help="Cells of the map: `fine` or `pool`.")]
Colormap = Annotated[
    str | None,
    typer.Option("--colormap", help="`inferno`, `magma`, `viridis`, `turbo` or `jet`."),
]
Opacity = Annotated[float | None, typer.Option("--opacity", help="Of the hottest heat, 0..1.")]
Video = Annotated[
    str | None,
    typer.Option("--video", help="`sampled` (explained frames), `full` (all frames) or `off`."),
]
Encoder = Annotated[
    str | None, typer.Option("--encoder", help="`auto`, `libx264` or `h264_nvenc`.")
]
Audio = Annotated[
    bool | None, typer.Option("--audio/--no-audio", help="Carry the sound into the video.")
]
Workers = Annotated[int | None, typer.Option("--workers", help="Files worked on at once.")]
Overwrite = Annotated[
    bool | None,
    typer.Option("--overwrite", help="Explain again what has results already."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on stdout.")]

_SETTINGS = {
    "model": (
        *("weights", "labels", "confidence", "classes", "device", "precision", "batch"),
        ("model", "name"),
    ),
    "cam": ("method", ("why", "explain"), "why_every", "why_top", "grid"),
    "sampling": ("max_fps", "every", "start", "end"),
    "render": ("colormap", "opacity"),
    "output": (
        "overwrite",
        "video",
        "save_maps",
        "encoder",
        "audio",
        "workers",
        ("output", "folder"),
    ),
    "live": ("segment",),
    "watch": ("recursive", "include", "exclude", "settle", "poll", "after", "state"),
}
"""The options that are settings, by section; a pair where the setting is called otherwise."""


def tables(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a command's options as settings, by section and key; None means not given.

    Args:
        options: Values by parameter name; what is no setting is ignored, `half` is understood.

    Raises:
        UsageError: Two options contradict each other.
    """
    given = dict(options)
    if given.get("half"):
        if given.get("precision") not in (None, "fp16"):
            raise UsageError(f"--half and --precision {given['precision']} contradict each other")
        given["precision"] = "fp16"
    return {
        section: {
            setting: given.get(option)
            for option, setting in ((n, n) if isinstance(n, str) else n for n in names)
        }
        for section, names in _SETTINGS.items()
    }
