"""Every layout of outputs is recognised, decoded to the right boxes, and never mistaken."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from streamcam.config.model_schema import ModelSettings
from streamcam.errors import UsageError, WeightsError
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.network import Candidates
from streamcam.vision.models.onnx.layout import Trial
from streamcam.vision.models.onnx.layouts import LAYOUTS, find_layout

CANVAS = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3
PLACEMENT = Letterbox((32, 48), CANVAS, CANVAS)
BOX = (20.0, 10.0, 60.0, 50.0)
CENTRED = (40.0, 30.0, 40.0, 40.0)


def trial(
    outputs: dict[str, Tensor], *, classes: int | None = None, inputs: tuple[str, ...] = ("images",)
) -> Trial:
    return Trial(outputs=outputs, inputs=inputs, canvas=CANVAS, classes=classes)


def places(classes: int, count: int = CELLS, *, objectness: bool) -> Tensor:
    """Rows [1, count, ...] whose boxes reach over the canvas; one of them is sure of class 1."""
    rows = torch.zeros(1, count, 4 + objectness + classes)
    rows[0, :, 0] = torch.linspace(4, 92, count)
    rows[0, :, 1] = torch.linspace(4, 60, count)
    rows[0, :, 2:4] = 8
    rows[0, 7, :4] = torch.tensor(CENTRED)
    rows[0, 7, 4:] = 0.1
    rows[0, 7, 4 + objectness + 1] = 0.8
    if objectness:
        rows[0, 7, 4] = 0.5
    return rows


def relative_places(classes: int) -> Tensor:
    """The same box as YOLOX gives it: from the cell of row 4, column 0 at stride 8."""
    rows = torch.zeros(1, CELLS, 5 + classes)
    cell = 4 * 12
    middle = torch.tensor([40 / 8 - 0, 30 / 8 - 4])
    rows[0, cell, :2] = middle
    rows[0, cell, 2:4] = torch.tensor([5.0, 5.0]).log()
    rows[0, cell, 4], rows[0, cell, 6] = 0.5, 0.8
    return rows


def end_to_end() -> Tensor:
    rows = torch.zeros(1, 10, 6)
    rows[0, 0] = torch.tensor([*BOX, 0.8, 1])
    return rows


def queries(columns: int, *, best: int) -> dict[str, Tensor]:
    logits = torch.full((1, 10, columns), -6.0)
    logits[0, 3, best] = 4.0
    boxes = torch.full((1, 10, 4), 0.5)
    boxes[0, 3] = torch.tensor([40 / 96, 30 / 64, 40 / 96, 40 / 64])
    return {"logits": logits, "pred_boxes": boxes}


def nothing_but_one() -> dict[str, Tensor]:
    """DETR's: all but one query find no object, the last class."""
    outputs = queries(4, best=1)
    outputs["logits"][0, :, 3] = 2.0
    outputs["logits"][0, 3, 3] = -6.0
    return outputs


def separate(*, batch: bool) -> dict[str, Tensor]:
    outputs = {
        "labels": torch.tensor([1, 0]),
        "boxes": torch.tensor([BOX, (0, 0, 1, 1)]),
        "scores": torch.tensor([0.8, 0.001]),
    }
    return {name: value[None] for name, value in outputs.items()} if batch else outputs


TRIALS = {
    "yolo": trial({"output0": places(3, objectness=False).transpose(1, 2)}),
    "yolov5": trial({"output": places(3, 3 * CELLS, objectness=True)}, classes=3),
    "yolox": trial({"output": relative_places(3)}, classes=3),
    "end2end": trial({"output0": end_to_end()}),
    "rtdetr": trial(queries(3, best=1)),
    "rfdetr": trial(
        {
            "dets": queries(3, best=1)["pred_boxes"],
            "labels": queries(3, best=1)["logits"],
        }
    ),
    "detr": trial(nothing_but_one()),
    "detections": trial(separate(batch=False)),
}
SCORES = {"yolov5": 0.4, "yolox": 0.4, "rtdetr": 0.982, "rfdetr": 0.982, "detr": 0.9999}


def test_the_configuration_names_the_layouts() -> None:
    assert get_args(ModelSettings.model_fields["layout"].annotation) == ("auto", *LAYOUTS)


def decoded(name: str, given: Trial) -> Candidates:
    layout = find_layout("auto", given)
    assert layout.name == name
    outputs = given.outputs
    if not layout.has_batch:
        outputs = {key: value[None] for key, value in outputs.items()}
    return layout.decode(outputs, 0, PLACEMENT, 0.3)


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_a_layout_is_recognised_and_decoded(name: str) -> None:
    found = decoded(name, TRIALS[name])
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([SCORES.get(name, 0.8)], abs=1e-3)
    assert found.boxes[0].tolist() == pytest.approx(BOX, abs=1e-3)


def test_two_corners_are_told_from_centre_and_size() -> None:
    rows = places(3, objectness=False)
    rows[0, :, 2:4] = rows[0, :, :2] + 8
    rows[0, 7, :4] = torch.tensor(BOX)
    found = decoded("yolo", trial({"output": rows.transpose(1, 2)}))
    assert found.boxes[0].tolist() == pytest.approx(BOX)


def test_boxes_of_a_masked_canvas_count_from_the_picture() -> None:
    given = trial(nothing_but_one(), inputs=("pixel_values", "pixel_mask"))
    layout = find_layout("auto", given)
    half = Letterbox((32, 48), (32, 48), CANVAS)
    found = layout.decode(given.outputs, 0, half, 0.3)
    assert found.boxes[0].tolist() == pytest.approx([side / 2 for side in BOX], abs=1e-3)


def test_results_of_a_batch_have_their_own_rows() -> None:
    given = trial(separate(batch=True), inputs=("images", "orig_target_sizes"))
    assert decoded("detections", given).boxes[0].tolist() == pytest.approx(BOX)
    assert find_layout("auto", given).sizing(None, 640).stretch == (640, 640)


def test_rows_without_a_box_may_hold_anything() -> None:
    rows = end_to_end()
    rows[0, 1:, 5] = -1
    assert decoded("end2end", trial({"output0": rows})).class_ids.tolist() == [1]


def test_places_of_a_segmenter_keep_their_mask_coefficients_out() -> None:
    masks = torch.full((1, CELLS, 32), 5.0)
    rows = torch.cat([places(3, objectness=False), masks], dim=2).transpose(1, 2)
    found = decoded("yolo", trial({"output0": rows, "output1": torch.zeros(1, 32, 16, 24)}))
    assert found.class_ids.tolist() == [1]


AMBIGUOUS = {
    # YOLOX decoded in the graph, or YOLOv6: which prepare pictures differently.
    "yolov5 or yolox": trial({"output": places(3, objectness=True)}, classes=3),
    # Four classes with objectness, or five without.
    "yolov5": trial({"output": places(4, 3 * CELLS, objectness=True)}),
}


@pytest.mark.parametrize("names", list(AMBIGUOUS))
def test_what_may_be_several_things_is_refused_until_it_is_told(names: str) -> None:
    with pytest.raises(UsageError, match=f"may be of the layout {names}") as caught:
        find_layout("auto", AMBIGUOUS[names])
    for name in names.split(" or "):
        assert f"--layout {name}" in str(caught.value.hint)
        assert find_layout(name, AMBIGUOUS[names]).name == name


@pytest.mark.parametrize(
    ("layout", "outputs", "reason"),
    [
        ("auto", {"x": torch.zeros(1, 7)}, "no known layout of boxes has these outputs: x \\[1, 7"),
        ("yolo", {"x": end_to_end()}, "not of the layout yolo: they are x \\[1, 10, 6\\]"),
        ("auto", {"x": places(3, objectness=False).transpose(1, 2) * 2}, "no probabilities"),
        ("auto", {"x": places(3, objectness=False).transpose(1, 2) / 96}, "not in pixels"),
        ("end2end", {"x": end_to_end() + 0.5}, "no probabilities"),
        ("rtdetr", {**queries(3, best=1), "pred_boxes": torch.full((1, 10, 4), 90.0)}, "0 to 1"),
    ],
)
def test_outputs_of_another_meaning_are_refused(
    layout: str, outputs: dict[str, Tensor], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        find_layout(layout, trial(outputs))


@pytest.mark.parametrize("name", ["yolo", "yolov5", "rtdetr"])
def test_a_wrong_number_of_names_is_refused(name: str) -> None:
    given = trial(dict(TRIALS[name].outputs), classes=7)
    with pytest.raises(WeightsError, match="7 class names for 3 classes"):
        find_layout(name, given)


def test_a_score_above_one_is_an_error_and_no_detection() -> None:
    given = TRIALS["end2end"]
    layout = find_layout("auto", given)
    with pytest.raises(WeightsError, match="a score of 60 is no probability"):
        layout.decode({"output0": end_to_end() * 75}, 0, PLACEMENT, 0.3)
