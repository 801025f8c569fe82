"""What the map costs beside the detector's forward, measured side by side.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/map_cost.py nano --batch 4 --rounds 15
    python benchmarks/map_cost.py fasterrcnn_resnet50_fpn --size 768x432

The forward alone and the whole engine (forward, components, one download, stabilisation, focus)
alternate on the same frames, so that other load on the machine affects both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch

from streamcam.config import Settings
from streamcam.pipeline.engine_provider import build_engine
from streamcam.types import Frame


def main() -> None:
    options = _options()
    width, height = (int(side) for side in options.size.split("x"))
    frames = _moving_square(options.batch, width, height)
    for name in options.models:
        _measure(name, frames, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["nano"])
    parser.add_argument("--size", default="768x432", help="WIDTHxHEIGHT")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--grid", default="fine")
    return parser.parse_args()


def _moving_square(count: int, width: int, height: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    ground = rng.normal(128, 20, (height, width, 3)).clip(0, 255).astype(np.uint8)
    square = rng.integers(0, 256, (height // 4, height // 4, 3), dtype=np.uint8)
    frames = []
    for index in range(count):
        picture = ground.copy()
        left = width // 4 + 4 * index
        picture[height // 4 : height // 2, left : left + height // 4][: len(square)] = square
        frames.append(Frame("bench", index, index, Fraction(1, 5), index / 5, picture))
    return frames


def _measure(name: str, frames: list[Frame], options: argparse.Namespace) -> None:
    model = {
        "name": name,
        "weights": "random",
        "device": options.device,
        "precision": options.precision,
        "batch": options.batch,
        "confidence": 0.5,
    }
    settings = Settings.model_validate({"model": model, "cam": {"grid": options.grid}})
    with build_engine(settings) as engine:
        pictures = [frame.picture for frame in frames]

        def forward_only() -> None:
            with engine.forwarding():
                engine.detector(pictures)

        forward, whole = _alternate(forward_only, lambda: engine.explain(frames), options.rounds)
        described = engine.description
    ratios = sorted(w / f - 1 for f, w in zip(forward, whole, strict=True))
    print(
        f"{name} ({described.device}, {described.precision}, batch {len(frames)}): "
        f"forward {1e3 * statistics.median(forward):.1f} ms, "
        f"with map {1e3 * statistics.median(whole):.1f} ms, "
        f"map {100 * statistics.median(ratios):.1f} % of the forward "
        f"(quartiles {100 * ratios[len(ratios) // 4]:.1f} to {100 * ratios[-len(ratios) // 4]:.1f})"
    )


def _alternate(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    for _ in range(2):
        first(), second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, taken in zip((first, second), times, strict=True):
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
