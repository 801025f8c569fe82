"""Every layout of ONNX files' outputs, and which one a file has.

Exporters agree on nothing. Which of the common layouts a file has is told by its outputs' names,
shapes and values for a picture of noise; what fits none, or more than one, is refused, since a
wrong guess would give wrong boxes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from streamcam.errors import StreamcamError, UsageError
from streamcam.vision.models.onnx.layout import Layout, Trial, unfit
from streamcam.vision.models.onnx.query_layouts import Detections, Detr, RfDetr, RtDetr
from streamcam.vision.models.onnx.yolo_layouts import EndToEnd, Yolo, YoloV5, Yolox

LAYOUTS: Mapping[str, type[Layout]] = MappingProxyType(
    {
        layout.name: layout
        for layout in (Yolo, YoloV5, Yolox, EndToEnd, RtDetr, RfDetr, Detr, Detections)
    }
)
"""Every layout by its name."""


def find_layout(name: str, trial: Trial) -> Layout:
    """The layout of a name, "auto" for the one that the outputs have.

    Raises:
        UsageError: The outputs are not of that layout; or of none, or of several.
        WeightsError: The number of class names does not fit.
    """
    if name == "auto":
        return _guess(trial)
    layout = LAYOUTS[name].fit(trial)
    if layout is None:
        raise unfit(name, f"they are {_describe(trial)}")
    return layout


def _guess(trial: Trial) -> Layout:
    fitting, refusals = [], []
    for kind in LAYOUTS.values():
        try:
            layout = kind.fit(trial)
        except StreamcamError as error:
            refusals.append(error)
        else:
            if layout is not None:
                fitting.append(layout)
    likely = [layout for layout in fitting if layout.is_likely(trial)]
    if len(likely) == 1:
        return likely[0]
    if fitting:
        names = [layout.name for layout in fitting]
        raise UsageError(
            f"the outputs, {_describe(trial)}, may be of the layout {' or '.join(names)}",
            hint=f"Tell which: --layout {' or --layout '.join(names)}; --labels may tell it too.",
        )
    if refusals:
        raise refusals[0]
    raise UsageError(
        f"no known layout of boxes has these outputs: {_describe(trial)}",
        hint="The layouts are described in docs/detectors.md.",
    )


def _describe(trial: Trial) -> str:
    return ", ".join(f"{name} {list(value.shape)}" for name, value in trial.outputs.items())
