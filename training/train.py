"""Train `nano` on labelled photos, from given weights or from nothing.

    python -m training.train --data DIR --output DIR --hours 2 --start nano.safetensors

Started from weights that know more classes than the data labels, it learns the other classes from
what those weights see (a teacher), so that none is forgotten.

The schedule follows the used share of `--hours` or of `--epochs`, whichever is further on. A run
that was stopped goes on from `last.pt` in the output folder when it is started again.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from streamcam.vision.models.nano import load_nano, read_nano
from streamcam.vision.models.nano_network import PIXEL_MEAN, PIXEL_STD, Nano, Predictions
from training.augment import Recipe
from training.data import category_names, load_photos, read_annotations, repeat_factors
from training.ema import MovingAverage
from training.evaluate import evaluate, table
from training.nano_file import save_nano
from training.nano_loss import nano_losses
from training.samples import Batch, Drawer, Pool, Samples, batches
from training.scenes import street_crops
from training.team import Team

WARM_UP_STEPS = 200
LAST_RATE = 0.01
"""The learning rate's end, as a share of its peak."""
WEIGHT_DECAY = 0.05
GRADIENT_NORM = 5.0
STREET_PICTURES = 600


@dataclass(frozen=True)
class Phase:
    """A stretch of the training, up to the share `until` of it."""

    until: float
    size: int
    recipe: Recipe


PHASES = (
    # Small samples first: half the time a sample, and scale augmentation hides the loss.
    Phase(0.60, 320, Recipe(mosaic=0.5, smallest=0.5, largest=1.7, colour=0.8)),
    # The end on pictures as they will be met, not in mosaics (YOLOX, Ge et al. 2021,
    # arXiv:2107.08430).
    Phase(1.00, 416, Recipe(mosaic=0.15, smallest=0.6, largest=1.6, colour=0.5)),
)


@dataclass
class Counters:
    """Progress of a run, part of its checkpoints."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


class Run:
    """One training run, from its first step or from a checkpoint."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        torch.manual_seed(options.seed)
        self.categories = category_names(read_annotations(options.data, "train"))
        pools = load_pools(options)
        self.photo_count = len(pools[0].photos)
        self.drawer = Drawer(pools)
        self.model, self.teacher = make_networks(options.start, self.categories)
        metadata = read_nano(options.start)[1] if options.start else {}
        self.origin = json.loads(metadata.get("origin", "{}"))
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.labelled: Tensor | None = None
        if self.teacher is not None:
            self.teacher.to(self.device).to(memory_format=torch.channels_last)
            ids = torch.tensor(list(self.categories), device=self.device)
            self.labelled = torch.isin(self.model.category_ids, ids)
        self.average = MovingAverage(self.model)
        self.optimizer = make_optimizer(self.model, options.learning_rate)
        self.counters = Counters()
        self.stop = False
        self.team = Team(1)
        self._samples_before = 0
        mean, std = (torch.tensor(v, device=self.device) for v in (PIXEL_MEAN, PIXEL_STD))
        self._scale, self._shift = 1 / (255 * std), mean / std

    def progress(self) -> float:
        """Used share of the budget, 0..1."""
        shares = [0.0]
        if self.options.hours:
            shares.append(self.counters.seconds / (self.options.hours * 3600))
        if self.options.epochs:
            shares.append(self.samples_seen() / (self.options.epochs * self.photo_count))
        return min(1.0, max(shares))

    @property
    def network(self) -> nn.Module:
        """For the team, which shares it."""
        return self.model

    def samples_seen(self) -> int:
        """By all processes, since the first step."""
        return self._samples_before + self.team.samples()

    def train(self) -> None:
        """Step until the budget is used or `stop` is set; saves at the end in any case."""
        saved = evaluated = self.counters.seconds
        for losses in self.steps():
            self.average.update(self.model, self.counters.step)
            if self.counters.step % 50 == 0:
                self._log(**losses)
            if self.counters.seconds - saved > self.options.save_minutes * 60:
                saved = self.counters.seconds
                self.save()
            if self.counters.seconds - evaluated > self.options.eval_minutes * 60:
                evaluated = self.counters.seconds
                self.evaluate()
        self.team.dismiss()
        self.save()

    def steps(self) -> Iterator[dict[str, float]]:
        """Losses of each step, through all phases, until the budget is used or `stop` is set."""
        while self.progress() < 1.0 and not self.stop:
            phase = next(p for p in PHASES if self.progress() < p.until)
            if self.team.member == 0:
                self._log(phase=phase.size, progress=self.progress())
            yield from self._steps(phase)

    def _steps(self, phase: Phase) -> Iterator[dict[str, float]]:
        """Losses of each step until the phase is over."""
        samples = Samples(
            self.drawer, phase.size, phase.recipe, self.options.seed + self.team.member
        )
        feed = batches(
            samples, self.counters.samples, self.options.batch_size, self.options.workers
        )
        self.model.train()
        started = time.monotonic()
        for batch in feed:
            losses = self._step(batch)
            now = time.monotonic()
            self.counters.seconds += now - started
            yield losses
            started = time.monotonic()
            if self.progress() >= phase.until or self.stop:
                return

    def _step(self, batch: Batch) -> dict[str, float]:
        rate = self.options.learning_rate * rate_factor(self.counters.step, self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        pixels, targets = self._to_device(batch)
        with torch.autocast(self.device.type, torch.bfloat16):
            taught = self._teach(pixels)
            losses = nano_losses(self.model, pixels, targets, taught, self.labelled)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        self.counters.step += 1
        self.counters.samples += len(targets)
        self.team.count(len(targets))
        return {**{k: v.item() for k, v in losses.items()}, "norm": norm.item(), "rate": rate}

    @torch.no_grad()
    def _teach(self, pixels: Tensor) -> Predictions | None:
        return None if self.teacher is None else self.teacher.predict(pixels)

    def _to_device(self, batch: Batch) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Normalised channels-last pixels `[B, 3, H, W]`, and targets."""
        pixels = batch[0].to(self.device, non_blocking=True).float()
        pixels = (pixels * self._scale - self._shift).permute(0, 3, 1, 2)
        targets = [{k: v.to(self.device) for k, v in target.items()} for target in batch[1]]
        return pixels, targets

    def evaluate(self) -> None:
        """Precision of the averaged weights on the validation photos, into the log."""
        self.average.model.score_thresh = 0.005
        report = evaluate(self.average.model, self.options.data, "val", self.device)
        self._log(ap50=report.mean.ap50, ap=report.mean.ap)
        print(table(report), flush=True)

    def save(self) -> None:
        """Checkpoint `last.pt` and weights `nano.safetensors`, each replaced in one step."""
        path = self.options.output / "last.pt"
        part = path.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "counters": {**vars(self.counters), "samples": self.samples_seen()},
            "categories": self.categories,
        }
        torch.save(state, part)
        part.replace(path)
        file = self.options.output / "nano.safetensors"
        save_nano(self.average.model, file, self.origin, self.summary())

    def resume(self) -> None:
        """Go on from `last.pt` if there is one."""
        path = self.options.output / "last.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["categories"] != self.categories:
            raise ValueError(f"{path}: made for other categories than those of the data")
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.counters = Counters(**state["counters"])
        self._samples_before = self.counters.samples

    def summary(self) -> dict[str, str]:
        """For the weights file: how it was trained."""
        return {
            "photos": str(self.photo_count),
            "samples": str(self.samples_seen()),
            "hours": f"{self.counters.seconds / 3600:.2f}",
            "progress": f"{self.progress():.3f}",
            "seed": str(self.options.seed),
            "torch": str(torch.__version__),
        }

    def _log(self, **values: float) -> None:
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}
        seconds = round(self.counters.seconds)
        row = {"step": self.counters.step, "samples": self.samples_seen(), "seconds": seconds}
        print(json.dumps({**row, **rounded}), flush=True)


def make_networks(start: Path | None, categories: Mapping[int, str]) -> tuple[Nano, Nano | None]:
    """The network to train, and its teacher where it starts with more classes than are labelled.

    Raises:
        ValueError: The weights to start from lack a class of the data.
    """
    if start is None:
        return Nano(categories), None
    model = load_nano(start)
    missing = categories.keys() - model.categories.keys()
    if missing:
        raise ValueError(f"{start}: knows nothing of the classes {sorted(missing)}")
    if model.categories.keys() == categories.keys():
        return model, None
    return model, copy.deepcopy(model).requires_grad_(False)


def rate_factor(step: int, progress: float) -> float:
    """Linear warm-up, then half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    cosine = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * progress)) / 2
    return min(1.0, (step + 1) / WARM_UP_STEPS) * cosine


def make_optimizer(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW that decays convolutions only, never norms and biases (arXiv:1711.05101)."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate)


def load_pools(options: argparse.Namespace) -> list[Pool]:
    """The photos, and what is mixed in with them."""
    photos = load_photos(options.data, "train", limit=options.limit)
    pools = [Pool(photos, repeat_factors(photos), 1.0)]
    if options.street:
        crops = street_crops(STREET_PICTURES)
        pools.append(Pool(crops, repeat_factors(crops), options.street))
    for folder, share in options.extra:
        more = load_photos(Path(folder), "train", longest=512)
        pools.append(Pool(more, np.ones(len(more)), float(share)))
    return pools


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="training.train", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with photos, train.json and val.json")
    add("--output", type=Path, required=True, help="folder for checkpoints and weights")
    add("--start", type=Path, help="weights to start from; without them random ones")
    add("--hours", type=float, help="budget in hours of training")
    add("--epochs", type=float, help="budget in passes over the photos")
    add("--batch-size", type=int, default=16)
    add("--learning-rate", type=float, default=2e-3)
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=0, help="processes that augment; 0 is the main one")
    add(
        "--processes",
        type=int,
        default=1,
        help="number of processes of one thread each, on shared weights (CPU only)",
    )
    add("--threads", type=int, help="threads for the CPU's work")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add(
        "--extra",
        nargs=2,
        action="append",
        default=[],
        metavar=("DIR", "SHARE"),
        help="mix in another folder's train.json, at this many samples for one of --data",
    )
    add(
        "--street",
        type=float,
        default=0.0,
        help="mix in the demo street: samples for one of --data",
    )
    add("--limit", type=int, help="use only the first N photos")
    add("--save-minutes", type=float, default=5.0)
    add("--eval-minutes", type=float, default=30.0)
    options = parser.parse_args(arguments)
    if not options.hours and not options.epochs:
        parser.error("give a budget: --hours, --epochs or both")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    if options.processes > 1:
        # More threads would be of no use, and must not have run before the fork.
        options.threads = 1
        cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    run.resume()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        run.stop = True

    run.team = Team(options.processes)
    run.team.start(run)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    run.train()
    if not run.stop:
        run.evaluate()


if __name__ == "__main__":
    main()
