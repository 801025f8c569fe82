import numpy as np
import pytest
import torch
from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from streamcam.types import Picture
from streamcam.vision.cam.components import (
    TOLERANCE_FLOAT32,
    TOLERANCE_HALF,
    _lanczos,
    _resample,
    join_levels,
    join_levels_as_published,
    principal_components,
)
from streamcam.vision.cam.geometry import LevelGrids, sample, sampling_grid
from streamcam.vision.models.detector import Detector
from tests.vision.scenes import MOBILENET, detector, levels_of, module, noise, with_patch

SIZES = [(240, 320), (300, 200), (270, 480)]

SMALL = {"min_size": 160, "max_size": 256}
ARCHITECTURES = [
    (MOBILENET, SMALL),
    ("fasterrcnn_resnet50_fpn", SMALL),
    ("fcos_resnet50_fpn", SMALL),
]


def start(activations: torch.Tensor) -> torch.Tensor:
    return torch.ones(activations.shape[0], activations.shape[2])


def up_to_sign(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Relative error of the nearer sign."""
    return float(
        min(np.linalg.norm(ours - theirs), np.linalg.norm(ours + theirs)) / np.linalg.norm(theirs)
    )


def reshape(levels: dict[str, torch.Tensor], key: str) -> torch.Tensor:
    """pytorch_grad_cam's fasterrcnn_reshape_transform, with the level to shrink to named."""
    size = levels[key].shape[-2:]
    return torch.cat(
        [torch.nn.functional.interpolate(v.abs(), size, mode="bilinear") for v in levels.values()],
        dim=1,
    )


@pytest.mark.parametrize(("name", "sizes"), ARCHITECTURES, ids=[a[0] for a in ARCHITECTURES])
def test_the_pool_grid_equals_pytorch_grad_cam(name: str, sizes: dict[str, int]) -> None:
    key = levels_of(name).pool
    plain = module(name, **sizes).eval()
    with detector(name, **sizes) as watched:
        for seed, (height, width) in enumerate(SIZES):
            picture = with_patch(noise(height, width, seed), 60, 80, 90)
            ours = published_projection(watched, picture, key)
            cam = EigenCAM(plain, [plain.backbone], reshape_transform=lambda o: reshape(o, key))
            with torch.no_grad():
                final = cam(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, targets=[])[0]
            theirs = get_2d_projection(cam.activations_and_grads.activations[0].numpy())[0]
            cam.activations_and_grads.release()
            assert up_to_sign(ours, theirs) <= 1e-4
            assert min(scaled_error(sign * ours, final) for sign in (1, -1)) <= 1e-4


@torch.inference_mode()
def published_projection(watched: Detector, picture: Picture, key: str) -> np.ndarray:
    """The first projection on the published grid, in the activations' own units."""
    levels = watched([picture]).levels
    rows, columns = levels[key].shape[-2:]
    cells = join_levels_as_published(list(levels.values()), (rows, columns)).flatten(1, 2)
    found = principal_components(cells, start(cells))
    return (found.projections[0, 0] * found.scale[0]).reshape(rows, columns).numpy()


def scaled_error(projection: np.ndarray, final: np.ndarray) -> float:
    """Of the map that pytorch_grad_cam makes of a projection."""
    height, width = final.shape
    scaled = scale_cam_image(np.maximum(projection, 0)[None], (width, height))
    scaled = scale_cam_image(scaled)[0]
    return float(np.linalg.norm(scaled - final) / np.linalg.norm(final))


def spectrum(values: list[float], positions: int, channels: int, seed: int = 0) -> torch.Tensor:
    """Activations with the given singular values, and a large mean."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(positions, len(values), generator=generator)
    left = torch.linalg.qr(left - left.mean(0)).Q
    right = torch.linalg.qr(torch.randn(channels, len(values), generator=generator)).Q
    mean = torch.rand(channels, generator=generator) * max(values)
    return (left * torch.tensor(values)) @ right.T + mean


@pytest.mark.parametrize(
    ("values", "positions", "channels"),
    [
        ([10.0, 5.0, 2.0, 1.0], 600, 64),
        ([10.0, 9.5, 9.0, 8.5, 1.0], 600, 64),
        ([3.0, 1.0], 12, 200),
        ([1.0], 50, 8),
        ([1e-9, 4e-10, 1e-10], 300, 32),
        ([1e7, 4e6, 1e6], 300, 32),
    ],
)
def test_components_equal_those_of_an_svd(
    values: list[float], positions: int, channels: int
) -> None:
    activations = spectrum(values, positions, channels)
    found = principal_components(activations[None], start(activations[None]))
    centred = (activations.double() - activations.double().mean(0)).numpy()
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    ours = (found.projections[0, 0] * found.scale[0]).double().numpy()
    assert up_to_sign(ours, centred @ directions[0]) < 2e-5
    assert up_to_sign(found.directions[0, 0].double().numpy(), directions[0]) < 1e-3
    share = strengths[0] ** 2 / (strengths**2).sum()
    assert found.shares[0, 0].item() == pytest.approx(share, rel=5e-3)
    if len(values) > 1:
        ratio = (strengths[1] / strengths[0]) ** 2
        assert (found.shares[0, 1] / found.shares[0, 0]).item() == pytest.approx(ratio, rel=0.02)
        assert abs(found.directions[0, 0] @ found.directions[0, 1]).item() < 1e-4


def test_the_tolerance_of_half_precision_takes_fewer_steps_and_moves_no_map() -> None:
    """Strengths as nano's activations have them, and a start as the frame before gives it."""
    values = [10.0, 7.0, *(5.0 * 0.9**step for step in range(60))]
    activations = spectrum(values, 510, 192)[None]
    exact = principal_components(activations, start(activations), tolerance=1e-6)
    draw = torch.Generator().manual_seed(0)
    near = exact.directions.sum(1) + 0.3 * torch.randn((1, 192), generator=draw) / 192**0.5
    found = principal_components(activations, near, tolerance=TOLERANCE_HALF)
    reach = exact.projections[0, 0].max() - exact.projections[0, 0].min()
    error = up_to_sign(found.projections[0, 0].numpy(), exact.projections[0, 0].numpy())
    assert error * exact.projections[0, 0].norm() < 1e-4 * reach * 510**0.5
    unit = torch.ones(1, 1)
    taken = [
        _lanczos(activations, unit, near, tolerance)[0].shape[1]
        for tolerance in (TOLERANCE_FLOAT32, TOLERANCE_HALF)
    ]
    assert 3 <= taken[1] < taken[0] < 12


@pytest.mark.parametrize("centre", [0.0, 0.5])
@pytest.mark.parametrize("factor", [2, 4])
def test_coarse_levels_are_resampled_as_samples_are(factor: int, centre: float) -> None:
    draw = torch.Generator().manual_seed(0)
    level, size = torch.rand((2, 6, 5, 7), generator=draw), (19, 27)
    at = [(torch.arange(cells) + centre) / factor - centre for cells in size]
    found = _resample(level, size, (1 / factor, 1 / factor), centre)
    assert torch.allclose(found, sample(level, sampling_grid(*at, (5, 7))), atol=1e-6)


def test_the_pictures_of_a_batch_do_not_mix() -> None:
    batch = torch.stack([spectrum([5.0, 2.0, 1.0], 200, 40, seed) for seed in range(3)])
    together = principal_components(batch, start(batch))
    for index in range(3):
        alone = principal_components(batch[index : index + 1], start(batch[:1]))
        assert up_to_sign(
            together.projections[index, 0].numpy(), alone.projections[0, 0].numpy()
        ) == pytest.approx(0, abs=1e-4)


def test_a_near_guess_gives_the_same_components() -> None:
    activations = spectrum([5.0, 4.0, 1.0], 300, 50)[None]
    cold = principal_components(activations, start(activations))
    warm = principal_components(activations, cold.directions.sum(1) + 0.1)
    for component in range(2):
        error = up_to_sign(
            warm.projections[0, component].numpy(), cold.projections[0, component].numpy()
        )
        assert error < 1e-3


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_activations_without_variation_give_no_map(value: float) -> None:
    activations = torch.full((1, 40, 16), value)
    found = principal_components(activations, start(activations))
    assert found.projections.abs().max().item() < 1e-5
    assert torch.isfinite(found.directions).all()
    assert found.shares.min().item() >= 0
    assert found.shares.max().item() <= 1


def test_a_single_position_gives_no_map() -> None:
    activations = torch.rand(1, 1, 16)
    found = principal_components(activations, start(activations))
    assert found.projections.abs().max().item() < 1e-5


@pytest.mark.parametrize("ratio", [2, 4])
def test_finer_levels_give_the_mean_of_nine_magnitudes_around_a_cell(ratio: int) -> None:
    size, step = (6, 7), ratio // 2
    fine = torch.randn(2, 3, *(ratio * side for side in size))
    magnitudes = fine.abs()
    joined = join_levels([fine], size, centre=0.0)
    for row in range(size[0]):
        for column in range(size[1]):
            rows, columns = (
                [at for at in (ratio * cell - step, ratio * cell, ratio * cell + step) if at >= 0]
                for cell in (row, column)
            )
            around = magnitudes[:, :, rows][..., columns]
            assert torch.allclose(joined[:, row, column], around.mean((2, 3)), atol=1e-6)


@pytest.mark.parametrize("centre", [0.0, 0.4])
def test_magnitudes_are_joined_whatever_their_signs(centre: float) -> None:
    levels = [torch.randn(2, 3, side, 2 * side) for side in (32, 16, 8, 4)]
    magnitudes = [level.abs() for level in levels]
    expected = join_levels(magnitudes, (8, 16), centre=centre)
    assert torch.equal(join_levels(levels, (8, 16), centre=centre), expected)


def test_only_the_requested_cells_are_returned() -> None:
    levels = [torch.randn(2, 3, side, 2 * side) for side in (32, 16, 8)]
    whole = join_levels([level.clone() for level in levels], (16, 32), centre=0.5)
    part = join_levels(levels, (16, 32), centre=0.5, inside=(slice(0, 11), slice(0, 27)))
    assert part.is_contiguous()
    assert torch.equal(part, whole[:, :11, :27])


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_joined_levels_are_aligned(centre: float) -> None:
    """Every level holds the canvas's own coordinates; joined, all must say the same."""
    canvas, grid = 256, 16
    levels = []
    for stride in (4, 8, 16, 32, 64):
        cells = torch.arange(canvas // stride) + centre
        levels.append((cells * stride).expand(1, 1, canvas // stride, -1).clone())
    joined = join_levels(levels, (grid, grid), centre=centre)
    wanted = (torch.arange(grid) + centre) * 16
    middle = slice(4, 9)
    assert joined.shape == (1, grid, grid, 5)
    for level in range(5):
        assert joined[0, 0, middle, level] == pytest.approx(wanted[middle], abs=0.01)


@pytest.mark.parametrize("centre", [0.0, 0.5])
@pytest.mark.parametrize("axis", [2, 3])
def test_joined_levels_of_any_strides_are_aligned(centre: float, axis: int) -> None:
    """Levels that hold canvas coordinates, with strides that differ and are no powers of two."""
    canvas = (504, 504)
    strides = {"a": (7.0, 14.0), "b": (14.0, 14.0), "c": (18.0, 12.0), "d": (28.0, 56.0)}
    levels = {}
    for name, (y, x) in strides.items():
        rows, columns = (torch.arange(504 // int(s)) + centre for s in (y, x))
        ramp = (rows * y)[:, None] if axis == 2 else (columns * x)[None]
        levels[name] = ramp.expand(len(rows), len(columns))[None, None].clone()
    grids = LevelGrids(centre, strides)
    assert grids.geometry("b", canvas, (36, 36)).stride == (14, 14)
    ratios = grids.ratios(list(levels), "b")
    joined = join_levels(list(levels.values()), (36, 36), centre=centre, ratios=ratios)
    wanted = (torch.arange(36) + centre) * 14
    middle = slice(8, 26)
    along = joined[0, :, 20] if axis == 2 else joined[0, 20]
    for level in range(4):
        assert along[middle, level] == pytest.approx(wanted[middle], abs=0.01)
