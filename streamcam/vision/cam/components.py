"""EigenCAM on the device: the activations' first principal components, without an SVD.

EigenCAM (Muhammad and Yeasin 2020, https://arxiv.org/abs/2008.00299) takes the activations of a
layer as one vector of channels per position and shows how far each position goes along the first
principal direction. It knows no class and no box: it is the strongest common pattern.

Levels of a feature pyramid are brought to one grid and joined along the channels, magnitudes only,
as pytorch_grad_cam's `fasterrcnn_reshape_transform` does.

The directions come from the Lanczos process on the channels' covariance, which needs only products
of the matrix with vectors (Golub and Van Loan, Matrix Computations, 4th ed., 10.1-10.3).
A full SVD of the same matrix, as in pytorch_grad_cam, takes longer than the detector.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor

from streamcam.vision.cam.geometry import Size, Stride

# Number of directions. The second one is needed to recognise that two components of nearly equal
# strength have swapped from one frame to the next.
COMPONENTS = 2

# Tolerances of the search. The wider one moves maps by at most 0.001 of their range, in three real
# videos, and takes a fifth fewer steps; half precision itself moves them by more.
TOLERANCE_FLOAT32, TOLERANCE_HALF = 1e-4, 1e-3

_MAX_STEPS = 48
_MIN_STEPS = 3

# Steps between checks for convergence. On a CPU a check takes a tenth of a step; on a GPU it waits
# for all work in progress.
_CHECK_EVERY_CPU, _CHECK_EVERY_GPU = 1, 8
_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Components:
    """The strongest principal components of a batch of activation matrices."""

    directions: Tensor  # [batch, COMPONENTS, channels], unit length; zero without variation
    projections: Tensor  # [batch, COMPONENTS, positions], centred, in units of `scale`
    shares: Tensor  # [batch, COMPONENTS], of the variance, 0..1
    scale: Tensor  # [batch], root mean square length of a position's activations, not centred


def join_levels(
    levels: Sequence[Tensor],
    size: Size,
    *,
    centre: float,
    inside: tuple[slice, slice] | None = None,
    ratios: Sequence[Stride] | None = None,
) -> Tensor:
    """Resample pyramid levels to one grid and join the magnitudes of their channels.

    A cell of the grid gets from every level the values at the cell's own pixels: finer levels are
    averaged around it, coarser ones are interpolated bilinearly.

    Args:
        levels: Each [batch, channels, rows, columns], of any floating type. Overwritten: a copy of
            the finest level costs as much as all the rest.
        size: Rows and columns of the grid.
        centre: Where in its stride a cell's centre lies, in every level.
        inside: Rows and columns to return, None for all.
        ratios: Cells of each level per cell of the grid; None for strides of powers of two, which
            follow from the sizes.

    Returns:
        float32, [batch, rows, columns, channels of all levels].
    """
    if ratios is None:
        ratios = [_stride_ratios(level.shape[-2:], size) for level in levels]
    aligned = (
        _align(level, size, ratio, centre) for level, ratio in zip(levels, ratios, strict=True)
    )
    rows, columns = inside or (slice(0, size[0]), slice(0, size[1]))
    return _joined(levels, (rows, columns), aligned)


def join_levels_as_published(levels: Sequence[Tensor], size: Size) -> Tensor:
    """Equivalent of pytorch_grad_cam's `fasterrcnn_reshape_transform`, for a grid of any size.

    Finer levels are sampled at single points, and all levels are assumed to span the same area
    whatever their padding. Takes and gives what `join_levels` does.
    """
    aligned = (functional.interpolate(level.abs_(), size, mode="bilinear") for level in levels)
    return _joined(levels, (slice(0, size[0]), slice(0, size[1])), aligned)


def _joined(
    levels: Sequence[Tensor], inside: tuple[slice, slice], aligned: Iterable[Tensor]
) -> Tensor:
    rows, columns = inside
    size = (levels[0].shape[0], rows.stop - rows.start, columns.stop - columns.start)
    channels = [level.shape[1] for level in levels]
    joined = levels[0].new_empty((*size, sum(channels)), dtype=torch.float32)
    for level, part in zip(aligned, torch.split(joined, channels, dim=-1), strict=True):
        part.copy_(level[..., rows, columns].permute(0, 2, 3, 1))
    return joined


def _stride_ratios(level: Sequence[int], size: Size) -> Stride:
    """Cells of a level per cell of the grid if both have strides of powers of two."""
    ratio = float(2 ** round(math.log2(max(level) / max(size))))
    return ratio, ratio


def _align(level: Tensor, size: Size, ratios: Stride, centre: float) -> Tensor:
    """The magnitudes of a level at the cells of the grid."""
    y, x = ratios
    if y == x == 1:
        return level.abs_()
    if y == x and x > 1 and x.is_integer():
        return _average(level, int(x), centre)
    return _resample(level.abs_(), size, ratios, centre)


def _average(level: Tensor, ratio: int, centre: float) -> Tensor:
    """Mean magnitudes around cell `ratio * i` of a finer level, or of the `ratio` cells from there.

    Around a cell, nine cells are averaged: every second one of a level four times as fine, where
    neighbours are nearly equal (nano's maps of three videos move by 0.006 of their range and
    flicker as before), and a ResNet's finest level has more cells than all others.
    """
    if centre >= 0.25:
        return functional.avg_pool2d(level.abs_(), ratio, ceil_mode=True)
    step = ratio // 2
    magnitudes = level.abs_() if step == 1 else level[..., ::step, ::step].abs()
    return functional.avg_pool2d(magnitudes, 3, stride=2, padding=1, count_include_pad=False)


def _resample(level: Tensor, size: Size, ratios: Stride, centre: float) -> Tensor:
    """Bilinear samples of a level, edge values beyond its edges; finer levels are smoothed.

    Two matrix products, rows and then columns: with channels last they take half the time of
    `grid_sample`, and the result has the channels last too.
    """
    batch, channels, rows, columns = level.shape
    down = _sampling_weights(rows, size[0], ratios[0], centre, level.device)
    across = _sampling_weights(columns, size[1], ratios[1], centre, level.device)
    cells = level.permute(0, 2, 3, 1).float()
    tall = (down @ cells.reshape(batch, rows, -1)).reshape(batch, size[0], columns, channels)
    return (across @ tall).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _sampling_weights(
    cells: int, samples: int, ratio: float, centre: float, device: torch.device
) -> Tensor:
    """Weight of each cell of an axis in each sample, [samples, cells].

    Samples of the bilinear interpolation of the cells; averages of it over `ratio` cells where
    there are more cells than samples. Cached, since frames of one size follow each other, and the
    copy would wait for a GPU.
    """
    with torch.inference_mode(mode=False):
        at = (torch.arange(samples) + centre) * ratio - centre
        apart = at.clamp(0, cells - 1)[:, None] - torch.arange(cells)
        if ratio <= 1:
            return (1 - apart.abs()).clamp(min=0).to(device)
        weights = _hat_integral(apart + ratio / 2) - _hat_integral(apart - ratio / 2)
        return (weights / weights.sum(dim=1, keepdim=True)).to(device)


def _hat_integral(to: Tensor) -> Tensor:
    """Integral from -1 of `max(0, 1 - |x|)`, the weight of a cell in bilinear interpolation."""
    to = to.clamp(-1, 1)
    return 0.5 + to - to * to.abs() / 2


def principal_components(
    activations: Tensor, start: Tensor, *, tolerance: float = TOLERANCE_FLOAT32
) -> Components:
    """The first principal components of activations, by the Lanczos process.

    Args:
        activations: float32, [batch, positions, channels].
        start: [batch, channels], start vectors: not orthogonal to any direction that is sought. The
            closer they are to it, the fewer steps are needed.
        tolerance: Maximum residual of the strongest direction as an eigenvector of the covariance,
            relative to its variance.

    Returns:
        Components in order of falling variance, their signs arbitrary. Activations without any
        variation give zeros. So do those that are not finite, whose shares are NaN.
    """
    # Two sums of hundreds round less than one of a million; the variance may be 1e-4 of the whole.
    lengths = torch.linalg.vector_norm(activations, dim=2)
    scale = torch.linalg.vector_norm(lengths, dim=1) / math.sqrt(activations.shape[1])
    finite = scale.isfinite()
    if not bool(finite.all()):
        activations = torch.where(finite[:, None, None], activations, 0)
        scale = torch.where(finite, scale, 0)
    typical = scale.clamp_min(_TINY)[:, None]
    # A power of two: division by it does not round.
    unit = typical.log2().round().exp2()
    basis, along, tridiagonal = _lanczos(activations, unit, start, tolerance)
    strongest = torch.linalg.eigh(tridiagonal).eigenvectors.flip(-1)[..., :COMPONENTS].mT
    if strongest.shape[1] < COMPONENTS:
        strongest = functional.pad(strongest, (0, 0, 0, COMPONENTS - strongest.shape[1]))
    # Products with the directions would be one more pass over all activations.
    directions = torch.bmm(strongest, basis)
    projections = torch.bmm(strongest, along) * (unit / typical)[:, None]
    mean = activations.mean(dim=1) / typical
    total = (1 - mean.square().sum(-1, keepdim=True)).clamp_min(_TINY)
    shares = projections.square().mean(-1) / total
    shares = torch.where(finite[:, None], shares.clamp(0, 1), torch.nan)
    return Components(directions, projections, shares, scale)


def _lanczos(
    activations: Tensor, unit: Tensor, start: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """An orthonormal basis, centred activations along it, and their covariance, tridiagonal.

    They are [batch, steps, channels], [batch, steps, positions] and [batch, steps, steps].
    Activations are divided by `unit`, so that neither tiny nor huge ones leave single precision.
    Every new vector is orthogonalised against all before it, twice: in single precision the
    three-term recurrence alone loses the basis within a dozen steps.
    """
    batch, positions, channels = activations.shape
    steps = min(_MAX_STEPS, channels, max(1, positions - 1))
    check_every = _CHECK_EVERY_CPU if activations.is_cpu else _CHECK_EVERY_GPU
    basis = activations.new_empty((batch, steps, channels))
    along = activations.new_empty((batch, steps, positions))
    tridiagonal = activations.new_zeros((batch, steps, steps))
    vector = _unit(start)
    for step in range(steps):
        basis[:, step] = vector
        products = _centred_products(activations, vector / unit)
        along[:, step] = products
        product = _transposed_products(activations, products) / unit
        tridiagonal[:, step, step] = (vector * product).sum(-1)
        known = basis[:, : step + 1]
        for _ in range(2):
            product = product - _projection(known, product)
        length = product.norm(dim=-1)
        used = step + 1
        if used == steps or (
            used >= _MIN_STEPS
            and used % check_every == 0
            and _converged(tridiagonal[:, :used, :used], length, tolerance)
        ):
            break
        tridiagonal[:, step, used] = tridiagonal[:, used, step] = length
        vector = _unit(product)
    return basis[:, :used], along[:, :used], tridiagonal[:, :used, :used]


def _converged(tridiagonal: Tensor, residual: Tensor, tolerance: float) -> bool:
    """Whether the strongest direction's residual is small beside its variance, in every matrix.

    The residual of a Ritz vector is the last off-diagonal element times the vector's last entry.
    """
    variances, vectors = torch.linalg.eigh(tridiagonal)
    rest = residual * vectors[:, -1, -1].abs()
    return bool((rest <= tolerance * variances[:, -1]).all())


def _centred_products(activations: Tensor, vector: Tensor) -> Tensor:
    """[batch, positions]: centred activations times a vector; centring the result is the same.

    The vector is the left operand: as the right one, a CPU takes twice as long for a batch.
    """
    products = torch.bmm(vector.unsqueeze(1), activations.mT).squeeze(1)
    return products - products.mean(dim=-1, keepdim=True)


def _transposed_products(activations: Tensor, weights: Tensor) -> Tensor:
    """[batch, channels]: weighted sums over positions; weights of zero sum centre by themselves."""
    return torch.bmm(weights.unsqueeze(1), activations).squeeze(1)


def _projection(basis: Tensor, vector: Tensor) -> Tensor:
    """Projections of [batch, channels] vectors on the span of an orthonormal basis."""
    return torch.bmm(torch.bmm(vector.unsqueeze(1), basis.mT), basis).squeeze(1)


def _unit(vectors: Tensor) -> Tensor:
    lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths.clamp_min(_TINY)
