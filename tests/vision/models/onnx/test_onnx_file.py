"""Files that cannot be used are told in a line, with the right exit code."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamcam.errors import ExitCode, StreamcamError, UsageError, WeightsError
from streamcam.vision.models import onnx_family
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.library import Library
from streamcam.vision.models.onnx.onnx_file import OnnxFile
from streamcam.vision.models.registry import find_family
from tests.vision.models.onnx.tiny_detectors import Yolo8, made, write


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(made(Yolo8), tmp_path_factory.mktemp("onnx") / "tiny.onnx")


def load(path: Path, **options: object) -> None:
    find_family(str(path)).load(str(path), LoadOptions(**options))  # type: ignore[arg-type]


def graph(node: onnx.NodeProto, opset: int = 17) -> onnx.ModelProto:
    """A graph of one node, from pictures to an output "y"."""
    pixels = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("mine", 1)]
    return helper.make_model(
        helper.make_graph([node], "one", [pixels], [output]), opset_imports=opsets, ir_version=8
    )


def refused(path: Path, kind: type[StreamcamError], code: ExitCode, reason: str) -> None:
    with pytest.raises(kind, match=reason) as caught:
        load(path)
    assert caught.value.exit_code == code
    assert "\n" not in caught.value.message


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    refused(tmp_path / "a.onnx", WeightsError, ExitCode.UNAVAILABLE, "there is no file")


def test_a_folder_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").mkdir()
    refused(tmp_path / "a.onnx", UsageError, ExitCode.USAGE, "a folder, not an ONNX file")


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"not a graph", b"PK\x03\x04"])
def test_other_files_are_no_onnx_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    refused(tmp_path / "a.onnx", WeightsError, ExitCode.SOME_FAILED, "a.onnx is not a")


def test_a_cut_file_is_told(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(file.read_bytes()[:-2000])
    refused(tmp_path / "a.onnx", WeightsError, ExitCode.SOME_FAILED, "a.onnx")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            graph(helper.make_node("Relu", ["x"], ["y"]), opset=99),
            "cannot run .*: ONNX Runtime only .* support",
        ),
        (graph(helper.make_node("Magic", ["x"], ["y"], domain="mine")), "cannot run .*Magic"),
        (graph(helper.make_node("Relu", ["z"], ["y"])), "cannot run .*z"),
    ],
)
def test_what_the_runtime_cannot_run_is_told(
    model: onnx.ModelProto, reason: str, tmp_path: Path
) -> None:
    onnx.save(model, tmp_path / "a.onnx")
    refused(tmp_path / "a.onnx", WeightsError, ExitCode.SOME_FAILED, reason)


def test_a_graph_without_boxes_or_pictures_is_told(tmp_path: Path) -> None:
    model = graph(helper.make_node("Relu", ["x"], ["y"]))
    onnx.save(model, tmp_path / "a.onnx")
    refused(tmp_path / "a.onnx", UsageError, ExitCode.USAGE, r"no known layout .* y \[1, 3, 64, 64")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    onnx.save(model, tmp_path / "a.onnx")
    refused(tmp_path / "a.onnx", UsageError, ExitCode.USAGE, "takes no pictures")


def test_an_input_of_unknown_meaning_is_told(tmp_path: Path) -> None:
    model = graph(helper.make_node("Add", ["x", "scale"], ["y"]))
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]))
    onnx.save(model, tmp_path / "a.onnx")
    refused(tmp_path / "a.onnx", UsageError, ExitCode.USAGE, "wants an input 'scale'")


def test_weights_may_lie_in_a_file_beside(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(
        onnx.load(file), path, save_as_external_data=True, location="a.data", size_threshold=64
    )
    load(path)
    before = OnnxFile(path).sha256
    data = bytearray((tmp_path / "a.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "a.data").write_bytes(data)
    assert OnnxFile(path).sha256 != before
    (tmp_path / "a.data").unlink()
    refused(path, WeightsError, ExitCode.SOME_FAILED, "cannot be read: .*a.data")


def test_weights_that_are_no_numbers_are_refused_by_name(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "a.onnx")
    reason = f"{re.escape(weight.name)} has values that are no numbers"
    refused(tmp_path / "a.onnx", WeightsError, ExitCode.SOME_FAILED, reason)


def test_names_must_fit_the_classes(file: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    with pytest.raises(WeightsError, match="2 class names for 3 classes"):
        load(file, labels=labels)
    labels.write_text("cat\ndog\ncow\n")
    network = find_family(str(file)).load(str(file), LoadOptions(labels=labels)).network
    assert network.categories == {0: "cat", 1: "dog", 2: "cow"}


def test_other_weights_are_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="has weights of its own"):
        load(file, weights="random")


def test_it_needs_no_import(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs no import"):
        Library(tmp_path).add(file, "mine")


def test_missing_packages_are_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_family, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(UsageError, match=r"ONNX files need onnx$") as caught:
        load(file)
    assert caught.value.hint == "pip install 'streamcam[onnx]'"
