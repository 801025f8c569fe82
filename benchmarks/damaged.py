"""Does the report of `streamcam compare` tell what is wrong with a detector?

    python -m benchmarks.damaged clip.mp4 photos/ --max-fps 1 --end 20
    python -m benchmarks.damaged clip.mp4 --only swapped unnormalised

Damages `nano` in ways whose cause is known, compares each with the whole detector on the given
videos and pictures, and prints what the report says, and whether it names the cause: the words that
give it away stand beside each damage. `copy` is undamaged: its report must name no cause.

input      channels swapped; mean and deviation left out, others taken, applied twice: folded into
           the first convolution, as a wrong export has it
weights    the first layers blurred, with noise, rounded; the finest level switched off
labels     the class rows of the heads shifted by one
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from streamcam.compare.comparer import Comparer, ComparisonPlan, DetectorComparison
from streamcam.compare.conclusions import remarks, sentences
from streamcam.compare.probes import PROBES
from streamcam.config import Settings, load_settings
from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import read_nano
from streamcam.vision.models.nano_network import PIXEL_MEAN, PIXEL_STD

Tensors = dict[str, Tensor]

FIRST = "backbone.stem.0.0"
"""The first convolution, 3x3, of red, green and blue."""
HEADS = tuple(f"head.levels.{level}.2" for level in range(3))
CLASSES = 80

_BINOMIAL = torch.tensor([1.0, 2.0, 1.0]) / 4
_NOISE = 0.5  # of the deviation of each tensor's weights
_LEVELS = 8


def swapped(tensors: Tensors) -> None:
    """Take blue for red."""
    weight = tensors[f"{FIRST}.weight"]
    tensors[f"{FIRST}.weight"] = weight[:, [2, 1, 0]].contiguous()


def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> Callable[[Tensors], None]:
    """Return the damage of a network whose input is normalised with another mean and deviation.

    Where the network expects n = (x - m) / s it gets n s / std + (m - mean) / std.
    """
    factor = torch.tensor(PIXEL_STD) / torch.tensor(std)
    shift = (torch.tensor(PIXEL_MEAN) - torch.tensor(mean)) / torch.tensor(std)

    def damage(tensors: Tensors) -> None:
        weight = tensors[f"{FIRST}.weight"].clone()
        tensors[f"{FIRST}.weight"] = weight * factor[:, None, None]
        tensors[f"{FIRST}.bias"] += (weight * shift[:, None, None]).sum(dim=(1, 2, 3))

    return damage


def twice(tensors: Tensors) -> None:
    """Subtract the mean and divide by the deviation a second time."""
    mean, std = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
    weight = tensors[f"{FIRST}.weight"].clone()
    tensors[f"{FIRST}.weight"] = weight / std[:, None, None]
    tensors[f"{FIRST}.bias"] -= (weight * (mean / std)[:, None, None]).sum(dim=(1, 2, 3))


def blurred(tensors: Tensors) -> None:
    """Blur the kernels of the first convolution: it sees no edges any more."""
    weight = tensors[f"{FIRST}.weight"]
    kernel = torch.outer(_BINOMIAL, _BINOMIAL).expand(weight.shape[1], 1, 3, 3)
    tensors[f"{FIRST}.weight"] = torch.nn.functional.conv2d(
        weight, kernel, padding=1, groups=weight.shape[1]
    )


def noise(tensors: Tensors) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, weight in _stem(tensors).items():
        drawn = torch.randn(weight.shape, generator=generator)
        tensors[name] = weight + _NOISE * weight.std() * drawn


def rounded(tensors: Tensors) -> None:
    """Round the weights of all convolutions to a few levels, as a bad quantizer does."""
    for name, weight in tensors.items():
        if weight.dim() == 4:
            step = (weight.max() - weight.min()) / (_LEVELS - 1)
            tensors[name] = ((weight - weight.min()) / step).round() * step + weight.min()


def without_finest(tensors: Tensors) -> None:
    """Let the finest level, which finds the small objects, find nothing."""
    tensors[f"{HEADS[0]}.bias"][:CLASSES] -= 20


def shifted_labels(tensors: Tensors) -> None:
    """Exchange the rows of the classes, each with the next."""
    for head in HEADS:
        for part in ("weight", "bias"):
            rows = tensors[f"{head}.{part}"]
            rows[:CLASSES] = rows[:CLASSES].roll(1, dims=0)


def _stem(tensors: Tensors) -> Tensors:
    return {
        name: value
        for name, value in tensors.items()
        if name.startswith("backbone.stem") and name.endswith(".weight")
    }


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to the detector, and words by which a reader knows it; "" for none."""

    apply: Callable[[Tensors], None]
    words: str


DAMAGES: Mapping[str, Damage] = {
    "copy": Damage(lambda _: None, ""),
    "swapped": Damage(swapped, "order of the channels"),
    "unnormalised": Damage(normalised((0, 0, 0), (1, 1, 1)), "normalisation"),
    "other-mean": Damage(normalised((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), "normalisation"),
    "twice": Damage(twice, "normalisation"),
    "blurred": Damage(blurred, "and the first layer"),
    "noise": Damage(noise, "differ in more than"),
    "rounded": Damage(rounded, "differ in more than"),
    "without-finest": Damage(without_finest, "differ behind the maps"),
    "shifted-labels": Damage(shifted_labels, "class names differ"),
}


def damaged(name: str, folder: Path) -> Path:
    """Write the weights of a damaged detector, and return their file."""
    tensors, metadata = read_nano(NANO_FILE)
    kinds = {key: value.dtype for key, value in tensors.items()}
    tensors = {key: v.float() if v.is_floating_point() else v for key, v in tensors.items()}
    DAMAGES[name].apply(tensors)
    path = folder / f"{name}.safetensors"
    whole = {key: value.to(kinds[key]).contiguous() for key, value in tensors.items()}
    save_file(whole, path, metadata)
    return path


def compared(sources: list[str], weights: Path, options: argparse.Namespace) -> DetectorComparison:
    """Compare the whole detector, A, with a damaged one, B."""
    sampling = {"max_fps": options.max_fps, "end": options.end}
    whole, broken = (_settings(own, sampling, options.imgsz) for own in (None, weights))
    return Comparer(
        ComparisonPlan(
            sources=sources,
            a=whole,
            b=broken,
            names=("nano", weights.stem),
            truth=options.truth,
            probes=options.probes,
            pictures=False,
        )
    ).run()


def _settings(weights: Path | None, sampling: Mapping[str, object], imgsz: int | None) -> Settings:
    own = None if weights is None else str(weights)
    model = {"weights": own, "precision": "fp32", "imgsz": imgsz}
    return load_settings(flags={"model": model, "sampling": sampling})


def report(name: str, comparison: DetectorComparison) -> bool:
    """Print what a reader is told; return whether the cause is named, and no other one."""
    figures, words = comparison.figures, DAMAGES[name].words
    told = [*sentences(comparison), *remarks(comparison)]
    if words:
        named = any(words in sentence for sentence in told)
    else:
        named = not any(
            word.words in line for word in DAMAGES.values() if word.words for line in told
        )
    print(f"\n{name}: {'told' if named else 'NOT TOLD'}")
    for sentence in told:
        print(f"  {sentence}")
    boxes = figures.boxes
    print(f"  [{figures.frames} frames, {boxes.a} and {boxes.b} boxes, {boxes.both} the same]")
    if comparison.probes:
        changed = ", ".join(
            f"{PROBES[one.name].meaning} {one.changed_a:.2f} {one.changed_b:.2f}"
            for one in comparison.probes.results
        )
        print(f"  [probes: plain {comparison.probes.plain:.2f}; {changed or 'none'}]", flush=True)
    return named


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="videos, pictures, folders")
    parser.add_argument("--only", nargs="+", choices=DAMAGES, default=list(DAMAGES))
    parser.add_argument("--max-fps", type=float, default=1.0)
    parser.add_argument("--end", type=float)
    parser.add_argument("--imgsz", type=int)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--probes", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = {
            name: report(name, compared(options.sources, damaged(name, Path(folder)), options))
            for name in options.only
        }
    print(f"\ntold: {sum(told.values())} of {len(told)}")


if __name__ == "__main__":
    main()
