"""Whether a box's score depends on the pixels that a map shows.

Deletion and insertion (Petsiuk, Das and Saenko 2018, RISE, arXiv:1806.07421) cover the hottest
pixels first, or uncover them first on a blurred picture, and follow the box's score. ROAD (Rong et
al. 2022, arXiv:2202.00449) fills the removed pixels from their surroundings, so that the shape of
the hole carries no information; it is pytorch_grad_cam's, with imputation on a smaller picture.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from pytorch_grad_cam.metrics.perturbation_confidence import (
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from torch import Tensor

from streamcam.types import HeatMap, Picture
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.methods.perturbation import MIN_SCORE, PassProgress, progress_ignored
from streamcam.vision.methods.targets import BoxTarget, scores_of
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Candidates

# Shares of the picture that are covered. A box has a few per cent of the picture, so that is where
# a good map's curve falls.
_SHARES = (0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_PERCENTILES = (20, 40, 60, 80)

BLUR_PIXELS = 12.0
"""Standard deviation of the blur in canvas pixels: blurred, a person of 100 is not detected."""

# Factor by which the picture is shrunk for ROAD, which solves an equation for every missing pixel:
# 2300 of them instead of 147000, in 30 ms.
_IMPUTED = 8

# Canvas pixels at once: 9 of nano's on a GPU. CPUs gain nothing from more than a few.
_CHUNK_PIXELS = 2.4e6
_CPU_CHUNK_PIXELS = 1.1e6


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How one box's score follows one map.

    Attributes:
        deletion: Area under the curve of the score's share that remains while the hottest pixels
            are covered; 0 is best.
        insertion: The same while they are uncovered on a blurred picture; 1 is best.
        road: Half the difference between the score without the coldest and without the hottest
            pixels, both imputed; positive if the map is better than chance.
    """

    deletion: float
    insertion: float
    road: float


class FaithfulnessMeter:
    """Measures maps of one picture; `seed` orders equally hot pixels and makes ROAD's noise."""

    def __init__(self, detector: Detector, picture: Picture, seed: int = 0) -> None:
        self._detector = detector
        self._seed = seed
        self._canvas, self._placement = detector.canvas(picture)
        self._black = torch.zeros_like(self._canvas)
        self._blurred = _blur(self._canvas)
        pixels = _CPU_CHUNK_PIXELS if self._canvas.is_cpu else _CHUNK_PIXELS
        chunk = pixels / (self._canvas.shape[-1] * self._canvas.shape[-2])
        self._chunk = int(max(1, min(len(_SHARES), chunk)))
        self._passes = 2 * math.ceil((len(_SHARES) - 2) / self._chunk) + 2 * len(_PERCENTILES)
        self._progress: PassProgress = progress_ignored
        self._done = 0

    def measure(
        self,
        heat: HeatMap,
        targets: Sequence[BoxTarget],
        progress: PassProgress = progress_ignored,
    ) -> list[Faithfulness]:
        """Follow the scores of boxes that share a map, in the same forward passes."""
        self._progress, self._done = progress, 0
        order = ranks(heat, self._placement, self._seed).to(self._canvas.device)
        plain, _ = self._covered_ends
        whole = np.maximum(scores_of([plain], targets)[0], MIN_SCORE)
        covered = self._curve(order, self._black, self._canvas, self._covered_ends)
        shown = self._curve(order, self._canvas, self._blurred, self._shown_ends)
        deletion = np.trapezoid(scores_of(covered, targets), _SHARES, axis=0) / whole
        insertion = np.trapezoid(scores_of(shown, targets), _SHARES, axis=0) / whole
        road = self._road(order.cpu(), targets) / whole
        return [
            Faithfulness(*values)
            for values in zip(deletion.tolist(), insertion.tolist(), road.tolist(), strict=True)
        ]

    @cached_property
    def _covered_ends(self) -> list[Candidates]:
        """The detections with nothing covered and with everything: the same for every map."""
        return self._ends(self._black, self._canvas)

    @cached_property
    def _shown_ends(self) -> list[Candidates]:
        """The detections with everything blurred and with nothing."""
        return self._ends(self._canvas, self._blurred)

    def _ends(self, inside: Tensor, outside: Tensor) -> list[Candidates]:
        (top, left), (height, width) = self._placement.offset, self._placement.resized
        every = outside.clone()
        part = (..., slice(top, top + height), slice(left, left + width))
        every[part] = inside[part]
        return self._forward(torch.cat([outside, every]))

    def _curve(
        self, order: Tensor, inside: Tensor, outside: Tensor, ends: Sequence[Candidates]
    ) -> list[Candidates]:
        """The detections with the hottest shares of the picture from one, the rest from another."""
        first, last = ends
        detections = [first]
        for start in range(1, len(_SHARES) - 1, self._chunk):
            chosen = _SHARES[start : min(start + self._chunk, len(_SHARES) - 1)]
            shares = torch.tensor(chosen, device=order.device)
            hot = (order[None] >= 1 - shares[:, None, None])[:, None]
            detections += self._forward(torch.where(hot, inside, outside))
        return [*detections, last]

    def _road(self, order: Tensor, targets: Sequence[BoxTarget]) -> npt.NDArray[np.float32]:
        """(LeRF - MoRF) / 2 of every target, as pytorch_grad_cam's `ROADCombined`."""
        canvas, maps = self._canvas.cpu(), order[None].numpy()

        def scores(found: Candidates) -> Tensor:
            return torch.stack([target(found) for target in targets])

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            coldest, hottest = (
                _averaged(removal)(canvas, maps, [scores], self._forward)[0]
                for removal in (RemoveLeastRelevantFirst, RemoveMostRelevantFirst)
            )
        half: npt.NDArray[np.float32] = (coldest - hottest) / 2
        return half

    def _forward(self, canvas: Tensor) -> list[Candidates]:
        self._progress(self._done, self._passes)
        self._done = min(self._done + 1, self._passes)
        canvas = canvas.to(self._canvas.device)
        return self._detector.detect_on_canvas(canvas, [self._placement] * len(canvas), MIN_SCORE)


def ranks(heat: HeatMap, placement: Letterbox, seed: int) -> Tensor:
    """Rank of each pixel of the canvas by heat: 0 the coldest, 1 the hottest, -1 the padding.

    Equally hot pixels, such as the empty part of a map, are in random order, so that their position
    has no influence.

    Returns:
        float32, the canvas's [height, width].
    """
    random = np.random.default_rng(seed)
    noise = random.random(heat.shape, dtype=np.float32) * 1e-6
    spread = functional.interpolate(
        torch.from_numpy(heat + noise)[None, None], placement.resized, mode="bilinear"
    )[0, 0]
    order = torch.empty(spread.numel())
    order[spread.flatten().argsort()] = torch.linspace(0, 1, spread.numel())
    canvas = torch.full(placement.canvas, -1.0)
    (top, left), (height, width) = placement.offset, placement.resized
    canvas[top : top + height, left : left + width] = order.reshape(height, width)
    return canvas


class _SmallImputer:
    """ROAD's imputation on a smaller picture, of which the missing pixels are enlarged."""

    def __init__(self) -> None:
        self._impute = NoisyLinearImputer()

    def __call__(self, picture: Tensor, keep: Tensor) -> Tensor:
        """Fill [3, height, width] where `keep`, [height, width], is 0."""
        size = (picture.shape[1] // _IMPUTED, picture.shape[2] // _IMPUTED)
        small = functional.adaptive_avg_pool2d(picture, size)
        present = functional.adaptive_avg_pool2d(keep[None], size)[0] >= 0.5
        filled = small if present.all() else self._filled(small, present.float())
        large = functional.interpolate(filled[None], picture.shape[1:], mode="bilinear")[0]
        return torch.where(keep.bool(), picture, large)

    def _filled(self, picture: Tensor, keep: Tensor) -> Tensor:
        with warnings.catch_warnings():
            # It converts tensors to arrays in a way that NumPy has deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            filled: Tensor = self._impute(picture, keep)
        return filled


def _averaged(removal: Callable[..., object]) -> AveragerAcrossThresholds:
    imputer = _SmallImputer()

    def at(percentile: int) -> Callable[..., npt.NDArray[np.float32]]:
        return partial(
            PerturbationConfidenceMetric(removal(percentile, imputer)), return_diff=False
        )

    return AveragerAcrossThresholds(at, list(_PERCENTILES))


def _blur(canvas: Tensor) -> Tensor:
    reach = int(3 * BLUR_PIXELS)
    offsets = torch.arange(-reach, reach + 1, device=canvas.device, dtype=canvas.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * BLUR_PIXELS**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = functional.pad(canvas, (reach,) * 4, mode="replicate")
    across = functional.conv2d(padded, kernel[:, :, None], groups=3)
    return functional.conv2d(across, kernel[..., None], groups=3)
