"""Small networks of every family, for OpenVINO."""

from collections.abc import Callable
from pathlib import Path

from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino.convert import converted
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from streamcam.vision.models.registry import find_family
from tests.vision.models.onnx.tiny_detectors import ANY_SIZE, Yolo8, made, write
from tests.vision.models.tiny_detectors import tiny_network
from tests.vision.scenes import MOBILENET, SSDLITE, module, network_around

SMALL = {"min_size": 128, "max_size": 192}


def _onnx(folder: Path) -> Network:
    notes = {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "imgsz": "[160, 160]", "task": "detect"}
    path = write(made(Yolo8), folder / "tiny.onnx", dynamic=ANY_SIZE, notes=notes)
    return find_family(str(path)).load(str(path), LoadOptions()).network


NETWORKS: dict[str, Callable[[Path], Network]] = {
    "nano": lambda _: network_around("nano", module("nano", **SMALL)),
    MOBILENET: lambda _: network_around(MOBILENET, module(MOBILENET, **SMALL)),
    SSDLITE: lambda _: network_around(SSDLITE, module(SSDLITE)),
    "detr": lambda _: tiny_network("detr"),
    "rt_detr": lambda _: tiny_network("rt_detr"),
    "onnx": _onnx,
}


def in_openvino(network: Network) -> OpenVinoNetwork:
    return OpenVinoNetwork(network, converted(network))
