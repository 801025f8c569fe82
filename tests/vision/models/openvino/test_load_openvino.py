"""OpenVINO as settings ask for it: devices, precisions, and what is refused."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch

from streamcam.errors import DeviceError, ExitCode, UsageError, WeightsError
from streamcam.pipeline.engine_provider import provenance_of
from streamcam.vision import devices
from streamcam.vision.models.family import Loaded
from streamcam.vision.models.nano import NanoFamily
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino import runtime
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.load_openvino import load_openvino
from streamcam.vision.models.openvino.runtime import (
    choose_intel_precision,
    find_intel_device,
    intel_devices,
)
from tests.vision.methods.scenes import nano, street
from tests.vision.scenes import build, frame, settings_of

NOTHING_LOADED = """
import sys
from streamcam.vision.build import build_engine
from streamcam.vision.models.registry import find_family
find_family("nano")
loaded = {"openvino", "nncf", "openvino_telemetry", "streamcam.vision.models.openvino"}
sys.exit(", ".join(loaded & set(sys.modules)) or None)
"""

NOTHING_SENT = """
import sys
import streamcam.vision.models.openvino.load_openvino
import openvino.tools.ovc
assert sys.modules["openvino_telemetry"] is None
telemetry = openvino.tools.ovc.telemetry
assert telemetry.__module__ == "openvino.tools.ovc.telemetry_stub", telemetry.__module__
"""


@pytest.fixture(scope="module")
def own() -> Network:
    return nano().network


@pytest.fixture(scope="module")
def weights(own: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in OpenVINO's format, of floats: integers only round otherwise."""
    file = tmp_path_factory.mktemp("weights") / "nano.xml"
    openvino.save_model(converted(own), file, compress_to_fp16=False)
    return file


@pytest.mark.parametrize("program", [NOTHING_LOADED, NOTHING_SENT])
def test_it_is_loaded_only_where_asked_for_and_sends_nothing(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_engine_in_openvino_finds_what_the_others_find() -> None:
    pictures = [frame(street(time)) for time in (1.0, 4.0)]
    with build(precision="fp32") as engine, build(device="intel:cpu", precision="fp32") as intel:
        expected, found = engine.explain(pictures), intel.explain(pictures)
        assert intel.description.device.startswith("intel:cpu (")
        assert intel.description.device.endswith(f", OpenVINO {version('openvino')})")
        assert intel.description.precision == "fp32"
    for own, other in zip(found, expected, strict=True):
        assert len(other.detections) > 3
        assert [one.label for one in own.detections] == [one.label for one in other.detections]
        for one, wanted in zip(own.detections, other.detections, strict=True):
            assert one.box == pytest.approx(wanted.box, abs=0.5)
        assert own.explanation.map == pytest.approx(other.explanation.map, abs=1e-2)


def test_auto_is_half_precision_where_the_cpu_has_units_for_it() -> None:
    can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    with build(device="intel:cpu") as engine:
        assert engine.description.precision == ("bf16" if "BF16" in can else "fp32")


def test_auto_takes_half_precision_back_where_feature_maps_change(
    own: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "streamcam.vision.models.openvino.load_openvino.agrees_with_float32", lambda _: False
    )
    network = load_openvino(Loaded(own, "nano", None), "nano", "intel:cpu", "auto")
    assert network.dtype == torch.float32


def test_int8_weights_are_used(own: Network, weights: Path) -> None:
    network = load_openvino(Loaded(own, "nano", None, int8=weights), "nano", "cpu", "int8")
    assert network.dtype == torch.int8
    assert network.replays_in_float32


def test_weights_that_are_none_are_refused(own: Network, tmp_path: Path) -> None:
    file = tmp_path / "broken.xml"
    file.write_text("<net>")
    with pytest.raises(WeightsError, match=r"broken\.xml cannot be read: "):
        load_openvino(Loaded(own, "nano", None, int8=file), "nano", "cpu", "int8")


def test_a_model_without_int8_weights_says_how_to_make_them() -> None:
    with pytest.raises(UsageError, match="has no int8 weights") as caught:
        build(name="ssdlite320_mobilenet_v3_large", weights="random", precision="int8")
    assert caught.value.hint is not None
    assert "streamcam models quantize ssdlite320_mobilenet_v3_large" in caught.value.hint


@pytest.mark.parametrize("settings", [{"precision": "int8"}, {"device": "intel:npu"}])
def test_without_the_package_the_extra_is_named(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs OpenVINO") as caught:
        build(**settings)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint == "pip install 'streamcam[openvino]'"


class _Machine:
    """Stands for OpenVINO's core on another machine."""

    available_devices = ("CPU", "GPU.0", "GPU.1")

    def get_property(self, device: str, name: str) -> object:
        if name == "FULL_DEVICE_NAME":
            return f"Intel {device}"
        return {"CPU": ["FP32", "INT8"]}.get(device, ["FP32", "FP16", "INT8"])


def test_devices_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.openvino, "Core", _Machine)
    assert intel_devices() == {
        "intel:cpu": "Intel CPU",
        "intel:gpu:0": "Intel GPU.0",
        "intel:gpu:1": "Intel GPU.1",
    }
    names = ("intel:cpu", "intel:gpu", "intel:gpu:1")
    assert [find_intel_device(name) for name in names] == ["CPU", "GPU.0", "GPU.1"]
    with pytest.raises(DeviceError, match="finds only intel:cpu, intel:gpu:0, intel:gpu:1"):
        find_intel_device("intel:npu")
    with pytest.raises(DeviceError, match="'intel:gpu:2' was asked for"):
        find_intel_device("intel:gpu:2")


def test_a_precision_fits_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.openvino, "Core", _Machine)
    assert choose_intel_precision("auto", "CPU") == "fp32"
    assert choose_intel_precision("auto", "GPU.0") == "fp16"
    assert choose_intel_precision("int8", "CPU") == "int8"
    with pytest.raises(UsageError, match="CPU does not compute in bf16"):
        choose_intel_precision("bf16", "CPU")


def test_gradient_methods_explain_the_network_in_float32(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They give the maps of the float network, and the manifest tells."""
    load = NanoFamily.load
    monkeypatch.setattr(
        NanoFamily, "load", lambda *arguments: replace(load(*arguments), int8=weights)
    )
    pictures = [frame(street())]
    settings = settings_of(method="layercam", precision="fp32", why_top=2)
    with build(method="layercam", precision="fp32", why_top=2) as engine:
        (expected,) = engine.explain(pictures)
        assert "precision" not in provenance_of(engine, settings).settings["cam"]
    with build(method="layercam", precision="int8", why_top=2) as engine:
        (found,) = engine.explain(pictures)
        assert provenance_of(engine, settings).settings["cam"]["precision"] == "fp32"
    assert np.corrcoef(found.explanation.map.ravel(), expected.explanation.map.ravel())[0, 1] > 0.99
