"""Batches for training: sample number i is always the same picture, whatever came before it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from training.augment import Recipe, make_sample
from training.data import Photo


@dataclass(frozen=True)
class Pool:
    """Photos that are drawn by weight."""

    photos: Sequence[Photo]
    weights: NDArray[np.float64]
    """`[n]`, relative."""
    share: float
    """Relative share of all draws that come from this pool."""


class Drawer:
    """Draws photos from pools by their shares, and within a pool by weight."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self.photos = [photo for pool in pools for photo in pool.photos]
        odds = [pool.share * pool.weights / pool.weights.sum() for pool in pools]
        self._bounds = np.cumsum(np.concatenate(odds))

    def draw(self, rng: np.random.Generator) -> Photo:
        """A photo, by chance."""
        at = rng.random() * self._bounds[-1]
        index = int(np.searchsorted(self._bounds, at, side="right"))
        return self.photos[min(index, len(self.photos) - 1)]


class Samples(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Endless augmented samples; the index is the seed."""

    def __init__(self, drawer: Drawer, size: int, recipe: Recipe, seed: int) -> None:
        self.drawer = drawer
        self.size = size
        self.recipe = recipe
        self.seed = seed

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((self.seed, index))
        sample = make_sample(lambda: self.drawer.draw(rng), self.size, self.recipe, rng)
        target = {
            "boxes": torch.from_numpy(sample.boxes),
            "labels": torch.from_numpy(sample.labels),
        }
        return torch.from_numpy(sample.pixels), target


Batch = tuple[Tensor, list[dict[str, Tensor]]]


class _From(Sampler[int]):
    """Counts up from a number, without end."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.first)


def batches(samples: Samples, first: int, batch_size: int, workers: int) -> Iterator[Batch]:
    """Batches from sample number `first` on, without end: uint8 `[B, H, W, 3]` and targets."""
    loader: DataLoader[tuple[Tensor, dict[str, Tensor]]] = DataLoader(
        samples,
        batch_size=batch_size,
        sampler=_From(first),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def _collate(rows: list[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    return torch.stack([row[0] for row in rows]), [row[1] for row in rows]


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
