"""Mix trained weights with those that training started from.

    python -m training.interpolate START TRAINED OUTPUT --share 0.5

The mean of both keeps what the start knew of rare classes and gains what training found: of the
weights, not of the predictions (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from streamcam.vision.models.nano import load_nano, nano_state, read_nano
from streamcam.vision.models.nano_network import Nano
from training.nano_file import save_nano


def interpolate(start: Nano, trained: Nano, share: float) -> Nano:
    """`start`, moved by `share` (0..1) of the way to `trained`, in place."""
    target = nano_state(trained)
    with torch.no_grad():
        for name, value in nano_state(start).items():
            if value.is_floating_point():
                value.lerp_(target[name], share)
    return start


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="training.interpolate", description=__doc__)
    parser.add_argument("start", type=Path, help="safetensors file")
    parser.add_argument("trained", type=Path, help="safetensors file, trained from start")
    parser.add_argument("output", type=Path, help="safetensors file")
    parser.add_argument("--share", type=float, default=0.5, help="of the trained weights, 0..1")
    options = parser.parse_args(arguments)
    mixed = interpolate(load_nano(options.start), load_nano(options.trained), options.share)
    metadata = read_nano(options.trained)[1]
    training = {**json.loads(metadata["training"]), "share": f"{options.share:g}"}
    save_nano(mixed, options.output, json.loads(metadata["origin"]), training)


if __name__ == "__main__":
    main()
