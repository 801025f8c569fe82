"""EigenCAM on the device: the activations' first principal components, without an SVD.

EigenCAM (Muhammad and Yeasin 2020, https://arxiv.org/abs/2008.00299) takes the activations of a
layer as one vector of channels per position and shows how far each position goes along the first
principal direction. It knows no class and no box: it is the strongest common pattern.

Levels of a feature pyramid are brought to one grid and joined along the channels, magnitudes only,
as pytorch_grad_cam's `fasterrcnn_reshape_transform` does.

The directions come from the Lanczos process on the channels' covariance, which needs nothing but
products of the matrix with a vector (Golub and Van Loan, Matrix Computations, 4th ed., 10.1-10.3).
A full SVD of the same matrix, as in pytorch_grad_cam, takes longer than the detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

# How many directions are kept. The second is there to be recognised when two components of nearly
# equal strength change places from one frame to the next.
COMPONENTS = 2

_MAX_STEPS = 48
_TOLERANCE = 1e-4
_CHECK_EVERY = 4
_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Components:
    """The strongest principal components of a batch of activation matrices.

    Attributes:
        directions: [batch, COMPONENTS, channels], unit length; zero where there is no variation.
        projections: [batch, COMPONENTS, positions]: centred activations along each direction.
        variances: [batch, COMPONENTS]: sums of squares of the projections.
        total: [batch]: sum of squares of the centred activations.
        energy: [batch]: sum of squares of the activations as they are.
    """

    directions: Tensor
    projections: Tensor
    variances: Tensor
    total: Tensor
    energy: Tensor


def join_levels(levels: Sequence[Tensor], size: tuple[int, int], *, exact: bool) -> Tensor:
    """Bring pyramid levels to one grid and join their channels.

    Args:
        levels: Each [batch, channels, rows, columns], of any floating type.
        size: Rows and columns of the grid.
        exact: Shrink as pytorch_grad_cam does, by bilinear samples of single cells, instead of
            averaging all cells (samples of a finer level flicker when something moves).

    Returns:
        float32, [batch, rows, columns, channels of all levels].
    """
    batch = levels[0].shape[0]
    channels = [level.shape[1] for level in levels]
    joined = levels[0].new_empty((batch, *size, sum(channels)), dtype=torch.float32)
    for level, part in zip(levels, torch.split(joined, channels, dim=-1), strict=True):
        part.copy_(_resize(level.abs(), size, exact=exact).permute(0, 2, 3, 1))
    return joined


def _resize(level: Tensor, size: tuple[int, int], *, exact: bool) -> Tensor:
    if level.shape[-2:] == size:
        return level
    if not exact and level.shape[-2] >= size[0]:
        return functional.adaptive_avg_pool2d(level, size)
    return functional.interpolate(level, size, mode="bilinear", align_corners=False)


def principal_components(activations: Tensor, start: Tensor | None = None) -> Components:
    """The first principal components of activations, by the Lanczos process.

    Args:
        activations: float32, [batch, positions, channels].
        start: [batch, channels], a guess that holds a part of every direction sought, such as the
            sum of the directions found in the frame before; without it the sum of all channels.

    Returns:
        Components in order of falling variance, their signs arbitrary. Activations without any
        variation give zeros.
    """
    basis, tridiagonal = _lanczos(activations, start)
    vectors = torch.linalg.eigh(tridiagonal).eigenvectors
    strongest = vectors.flip(-1)[..., :COMPONENTS].mT
    directions = _unit(strongest @ basis)
    if directions.shape[1] < COMPONENTS:
        directions = functional.pad(directions, (0, 0, 0, COMPONENTS - directions.shape[1]))
    projections = torch.stack(
        [_centred_products(activations, direction) for direction in directions.unbind(1)], dim=1
    )
    energy = torch.linalg.vector_norm(activations, dim=(1, 2)).square()
    mean = activations.mean(dim=1)
    return Components(
        directions=directions,
        projections=projections,
        variances=projections.square().sum(-1),
        total=(energy - mean.square().sum(-1) * activations.shape[1]).clamp_min(0),
        energy=energy,
    )


def _lanczos(activations: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
    """An orthonormal basis [batch, steps, channels] and the covariance in it, tridiagonal.

    Every new vector is orthogonalised against all before it, twice: in single precision the
    three-term recurrence alone loses the basis within a dozen steps.
    """
    batch, positions, channels = activations.shape
    steps = min(_MAX_STEPS, channels, max(1, positions - 1))
    basis = activations.new_zeros((batch, steps, channels))
    tridiagonal = activations.new_zeros((batch, steps, steps))
    vector = _unit(activations.new_ones((batch, channels)) if start is None else start)
    for step in range(steps):
        basis[:, step] = vector
        product = _transposed_products(activations, _centred_products(activations, vector))
        tridiagonal[:, step, step] = (vector * product).sum(-1)
        known = basis[:, : step + 1]
        for _ in range(2):
            product = product - _project_out(known, product)
        length = product.norm(dim=-1)
        used = step + 1
        if used == steps or (
            used % _CHECK_EVERY == 0 and _converged(tridiagonal[:, :used, :used], length)
        ):
            break
        tridiagonal[:, step, used] = tridiagonal[:, used, step] = length
        vector = _unit(product)
    return basis[:, :used], tridiagonal[:, :used, :used]


def _converged(tridiagonal: Tensor, residual: Tensor) -> bool:
    """Whether the strongest direction's residual is small beside its variance, in every matrix.

    The residual of a Ritz vector is the last off-diagonal element times the vector's last entry.
    """
    variances, vectors = torch.linalg.eigh(tridiagonal)
    rest = residual * vectors[:, -1, -1].abs()
    return bool((rest <= _TOLERANCE * variances[:, -1]).all())


def _centred_products(activations: Tensor, vector: Tensor) -> Tensor:
    """[batch, positions]: centred activations times a vector; centring the result is the same."""
    products = torch.bmm(activations, vector.unsqueeze(-1)).squeeze(-1)
    return products - products.mean(dim=-1, keepdim=True)


def _transposed_products(activations: Tensor, weights: Tensor) -> Tensor:
    """[batch, channels]: weighted sums over positions; weights of zero sum centre by themselves."""
    return torch.bmm(weights.unsqueeze(1), activations).squeeze(1)


def _project_out(basis: Tensor, vector: Tensor) -> Tensor:
    """The part of [batch, channels] vectors that lies in an orthonormal basis."""
    return torch.bmm(torch.bmm(vector.unsqueeze(1), basis.mT), basis).squeeze(1)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(_TINY)
