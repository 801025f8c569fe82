"""Settings of the detector and of its maps."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from streamcam.cam_methods import EIGENCAM, METHODS
from streamcam.config.fields import Duration, Flag, Form, NameList, Section, wrong_word

_PRECISIONS = {
    "half": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "full": "fp32",
}
"""Other usual names."""


_DEVICES = "auto, all, cpu, cuda, cuda:N, intel:cpu, intel:gpu, intel:npu, or several with commas"

_DEVICE = r"cpu|cuda(:\d+)?|intel:(cpu|gpu(:\d+)?|npu)"


def _devices(value: object) -> object:
    """Take a list of devices, or text with commas, and what other tools call devices."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        return value
    return ",".join(_device(name) for name in value.split(","))


def _device(value: str) -> str:
    """Take "gpu", "gpu:1", "CUDA", and the numbers of GPUs."""
    name = value.strip().casefold()
    if name.startswith("mps"):
        raise ValueError("Apple's GPUs (mps) are not supported, maps are tested on cpu and cuda")
    if name.startswith("intel"):
        return {"intel": "intel:cpu", "intel:gpu:0": "intel:gpu"}.get(name, name)
    number = re.fullmatch(r"(?:(?:gpu|cuda):?)?(\d+)", name)
    if number is not None:
        return f"cuda:{number[1]}"
    return {"gpu": "cuda", "cuda": "cuda", "cpu": "cpu", "auto": "auto", "all": "all"}.get(
        name, value
    )


def _precision(value: object) -> object:
    return _PRECISIONS.get(value.casefold(), value) if isinstance(value, str) else value


class ModelSettings(Section):
    """The detector and the device that runs it."""

    name: Annotated[str, Flag("model", "-m")] = Field(
        "nano",
        min_length=1,
        description="Detector: the built-in `nano`, any name from `streamcam models list`, "
        "`hf:ORGANISATION/NAME` of the Hugging Face hub, or a model's file or folder.",
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
    imgsz: Annotated[int | None, Flag()] = Field(
        None,
        ge=32,
        le=8192,
        description="Longer side of the model's input, in pixels: larger finds smaller objects and "
        "takes longer. Unset: the model's own size.",
        examples=[640],
    )
    layer: Annotated[NameList, Flag()] = Field(
        (),
        description="Layers whose feature maps the map is made of, by name, e.g. "
        "`neck.p3,neck.p4`, of models whose layers are searched for: see docs/detectors.md. "
        "Empty: those found.",
    )
    layout: Annotated[
        Literal[
            "auto",
            "yolo",
            "yolov5",
            "yolox",
            "end2end",
            "rtdetr",
            "rfdetr",
            "detr",
            "detections",
        ],
        Flag(),
    ] = Field(
        "auto",
        description="What an ONNX file's outputs are, see docs/detectors.md. `auto`: told by their "
        "names, shapes and values.",
    )
    trust: Annotated[bool, Flag()] = Field(
        False,
        description="Open model files that can run any code while they are read (pickles): only "
        "those of people you trust.",
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
    device: Annotated[str, BeforeValidator(_devices), Form(_DEVICES), Flag()] = Field(
        "auto",
        pattern=rf"^(auto|all|({_DEVICE})(,({_DEVICE}))*)$",
        description="Where the model runs: `auto`, `cpu`, `cuda` or `cuda:N`; with OpenVINO "
        "`intel:cpu`, `intel:gpu` or `intel:npu`. Of several, `cuda:0,cuda:1` or `all` (GPUs of "
        "CUDA), each has an engine, and `run`, `watch` and `serve` spread their sources.",
    )
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"],
        BeforeValidator(_precision),
        Flag(shorthand=("half", "fp16")),
    ] = Field(
        "auto",
        description="Arithmetic of the forward pass: `auto`, `fp32`, `fp16`, `bf16` or `int8`. "
        "`auto` takes half precision where the hardware has units for it; `int8` needs OpenVINO "
        "and weights for it.",
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

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices by name; "all" stands for those that there are."""
        return tuple(self.device.split(","))

    @property
    def several_devices(self) -> bool:
        """Whether each of several devices has an engine, as far as the settings tell."""
        return self.device == "all" or len(self.devices) > 1


def _method(name: str) -> str:
    """Take a method's label too, as papers write it: "Grad-CAM++"."""
    plain = re.sub(r"[-_ ]", "", name.casefold())
    if plain not in METHODS:
        raise ValueError(wrong_word(name, METHODS))
    return plain


class CamSettings(Section):
    """The map: what the detector responds to."""

    method: Annotated[
        str,
        AfterValidator(_method),
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
        le=1_000_000,
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
