"""Options that are given once for both detectors, or twice."""

import pytest

from streamcam.cli.paired_options import split_flags
from streamcam.errors import UsageError


def test_once_is_for_both_and_twice_is_what_differs() -> None:
    flags = {
        "model": {"name": ["nano"], "precision": ["fp32", "int8"], "trust": True, "imgsz": None},
        "output": {"folder": "out"},
    }
    paired = split_flags(flags)
    assert paired.a["model"] == {
        "name": "nano",
        "precision": "fp32",
        "trust": True,
        "imgsz": None,
    }
    assert paired.b["model"] == {**paired.a["model"], "precision": "int8"}
    assert paired.a["output"] == paired.b["output"] == {"folder": "out"}
    assert paired.names == ("fp32", "int8")


@pytest.mark.parametrize(
    ("key", "given", "names"),
    [
        (
            "weights",
            ["runs/1/best.pt", "runs/2/best.pt"],
            ("weights 1/best.pt", "weights 2/best.pt"),
        ),
        ("weights", ["default", "a.safetensors"], ("default weights", "weights a.safetensors")),
        ("name", ["nano", "exported/nano.onnx"], ("nano", "nano.onnx")),
        ("confidence", ["0.3", "0.6"], ("confidence 0.3", "confidence 0.6")),
        ("classes", ["person,dog", "default"], ("classes person,dog", "default classes")),
    ],
)
def test_names_say_what_differs(key: str, given: list[str], names: tuple[str, str]) -> None:
    assert split_flags({"model": {key: given}}).names == names


def test_default_is_as_without_the_option() -> None:
    paired = split_flags({"model": {"weights": ["default", "b.pt"]}})
    assert paired.a["model"] == {"weights": None}
    assert paired.b["model"] == {"weights": "b.pt"}


def test_several_differences_are_all_named() -> None:
    paired = split_flags({"model": {"imgsz": ["320", "640"]}, "cam": {"method": ["a", "b"]}})
    assert paired.names == ("imgsz 320, a", "imgsz 640, b")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["fp32", "fp16", "int8"], "--precision: given 3 times"),
        (["fp32", "fp32"], "nothing differs"),
        (["fp32"], "nothing differs"),
        (None, "nothing differs"),
    ],
)
def test_what_cannot_be_paired_is_refused(given: list[str] | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_flags({"model": {"precision": given}})
