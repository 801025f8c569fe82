"""Maps lie where their pixels are, through resize, padding, strides and mixed batches."""

import math

import numpy as np
import pytest
import torch

from streamcam.types import FrameResult
from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.cam.geometry import GridGeometry, Letterbox, LevelGrids, to_frame
from streamcam.vision.engine import Engine
from streamcam.vision.models.detector import Detector
from tests.vision.scenes import (
    MOBILENET,
    SSDLITE,
    PatchNetwork,
    engine,
    engine_around,
    frame,
    grey,
    with_patch,
)

SIZES = [(640, 360), (1920, 1080), (1080, 1920)]


def centre_of_heat(result: FrameResult) -> np.ndarray:
    """x, y in pixels of the frame, of what is above half of the map's maximum."""
    heat = result.explanation.map
    heat = np.maximum(heat - heat.max() / 2, 0)
    height, width = result.frame.picture.shape[:2]
    rows, columns = heat.shape
    x = (heat.sum(0) * (np.arange(columns) + 0.5)).sum() / heat.sum() * width / columns
    y = (heat.sum(1) * (np.arange(rows) + 0.5)).sum() / heat.sum() * height / rows
    return np.array([x, y])


def cell(result: FrameResult) -> np.ndarray:
    height, width = result.frame.picture.shape[:2]
    rows, columns = result.explanation.map.shape
    return np.array([width / columns, height / rows])


def patches(width: int, height: int) -> list[tuple[int, int, int]]:
    """Places of one patch: x, y, side. The last is near the lower right corner."""
    side = min(width, height) // 4
    return [
        (width // 5, height // 5, side),
        (width // 5 + width // 3, height // 5, side),
        (width // 5, height // 5 + height // 3, side),
        (width - side - side // 2, height - side - side // 2, side),
    ]


@pytest.fixture(scope="module")
def mobilenet() -> Engine:
    return engine(MOBILENET)


def check_moves(results: list[FrameResult]) -> None:
    """The map moves as the patch does, and sits on it.

    On it to two thirds of a cell: with random weights the channels that a patch lights up lie
    anywhere around it.
    """
    width, height = results[0].frame.picture.shape[1::-1]
    places = patches(width, height)
    middles = [np.array([x + side / 2, y + side / 2]) for x, y, side in places]
    centres = [centre_of_heat(result) for result in results]
    for middle, centre, result in zip(middles, centres, results, strict=True):
        moved, wanted = centre - centres[0], middle - middles[0]
        assert np.abs(moved - wanted).max() <= cell(result).max() / 2
        assert np.abs(centre - middle).max() <= cell(result).max() * 2 / 3


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_map_moves_with_a_patch(mobilenet: Engine, width: int, height: int) -> None:
    pictures = [with_patch(grey(height, width), *place) for place in patches(width, height)]
    check_moves(mobilenet.explain([frame(p, source=f"{i}") for i, p in enumerate(pictures)]))


def test_the_map_moves_with_a_patch_in_a_mixed_batch(mobilenet: Engine) -> None:
    pictures = [
        with_patch(grey(height, width), *patches(width, height)[place])
        for place in range(4)
        for width, height in SIZES
    ]
    results = mobilenet.explain([frame(p, source=f"{i}") for i, p in enumerate(pictures)])
    for size in range(3):
        check_moves(results[size::3])


def test_the_map_moves_with_a_patch_where_the_aspect_is_not_kept() -> None:
    with engine(SSDLITE) as squashing:
        pictures = [with_patch(grey(360, 640), *place) for place in patches(640, 360)]
        check_moves(squashing.explain([frame(p, source=f"{i}") for i, p in enumerate(pictures)]))


def test_the_pool_grid_is_cut_to_the_picture_too() -> None:
    with engine(MOBILENET, grid="pool") as pooled:
        pictures = [with_patch(grey(1080, 1920), *place) for place in patches(1920, 1080)]
        results = pooled.explain([frame(p, source=f"{i}") for i, p in enumerate(pictures)])
        assert results[0].explanation.map.shape == (5, 9)
        check_moves(results)


def canvas_ramp(grid: GridGeometry, axis: int) -> torch.Tensor:
    """Cells that hold their own centre's canvas coordinate."""
    centres = (torch.arange(grid.size[axis]) + grid.centre) * grid.stride[axis]
    shape = [1, -1, 1] if axis == 0 else [1, 1, -1]
    return centres.reshape(shape).expand(1, *grid.size).clone()


@pytest.mark.parametrize("centre", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(
    ("original", "resized", "canvas"),
    [
        ((1080, 1920), (320, 568), (320, 576)),
        ((1080, 1920), (750, 1333), (768, 1344)),
        ((360, 640), (720, 1280), (1344, 1344)),
        ((431, 97), (300, 300), (300, 300)),
    ],
)
def test_a_map_spans_the_picture_from_edge_to_edge(
    original: tuple[int, int], resized: tuple[int, int], canvas: tuple[int, int], centre: float
) -> None:
    """Cells of the frame's map hold the coordinates of the pixels that they cover."""
    size = (-(-canvas[0] // 16), -(-canvas[1] // 16))
    grid = GridGeometry.over(canvas, size, centre)
    placement = Letterbox(original, resized, canvas)
    for axis in (0, 1):
        result = to_frame(canvas_ramp(grid, axis), grid, placement)[0]
        line = result[:, 0] if axis == 0 else result[0]
        count = len(line)
        assert count == max(1, round(resized[axis] / 16))
        wanted = (torch.arange(count) + 0.5) * resized[axis] / count
        inner = slice(1, count - 1)
        assert line[inner] == pytest.approx(wanted[inner], abs=0.05)


def test_padding_is_outside_the_grid_of_a_picture() -> None:
    canvas = (1344, 1344)

    def inside(size: tuple[int, int], centre: float, *offset: int) -> tuple[slice, slice]:
        grid = GridGeometry.over(canvas, (84, 84), centre)
        return grid.inside(Letterbox(size, size, canvas, (offset[0], offset[1])))

    assert inside((1344, 750), 0.5, 0, 0) == (slice(0, 84), slice(0, 47))
    assert inside((1, 1), 0.5, 0, 0) == (slice(0, 1), slice(0, 1))
    assert inside((737, 736), 0.0, 0, 0) == (slice(0, 47), slice(0, 46))
    assert inside((1344, 736), 0.5, 0, 304) == (slice(0, 84), slice(19, 65))
    assert inside((1, 1), 0.5, 1343, 1343) == (slice(83, 84), slice(83, 84))


def test_strides_are_powers_of_two_where_a_network_rounds_its_cells_up() -> None:
    assert GridGeometry.over((300, 300), (38, 38), 0.5).stride == (8.0, 8.0)
    assert GridGeometry.over((800, 1344), (13, 21), 0.5).stride == (64.0, 64.0)


@pytest.mark.parametrize("offset", [(0, 0), (70, 7)])
def test_any_strides_are_aligned(offset: tuple[int, int]) -> None:
    """A vision transformer's patches of 14 pixels, and cells that are higher than wide."""
    placement = Letterbox((300, 400), (378, 504), (518, 518), offset)
    for stride in ((14.0, 14.0), (28.0, 14.0), (20.0, 6.5)):
        size = (math.ceil(518 / stride[0]), math.ceil(518 / stride[1]))
        grids = LevelGrids(0.5, {"tokens": stride})
        grid = grids.geometry("tokens", placement.canvas, size)
        for axis, side in enumerate(placement.original):
            rows, columns = grid.inside(placement)
            ramp = canvas_ramp(grid, axis) - offset[axis]
            result = to_frame(ramp[:, rows, columns], grid, placement)[0]
            cells = result.shape[axis]
            assert cells == round(placement.resized[axis] / stride[axis])
            middles = (torch.arange(cells) + 0.5) * (side / cells)
            shown = result.select(1 - axis, 3) * side / placement.resized[axis]
            inner = slice(1, cells - 1)
            assert shown[inner] == pytest.approx(middles[inner], abs=0.01)


@pytest.mark.parametrize(
    "patches",
    [{"tokens": (14, 14)}, {"tokens": (28, 14)}, {"fine": (14, 14), "coarse": (42, 63)}],
    ids=["14", "28 x 14", "two levels"],
)
def test_maps_of_networks_with_any_strides_are_aligned(patches: dict[str, tuple[int, int]]) -> None:
    network = PatchNetwork(patches)
    fine = network.levels.strides[network.levels.fine]
    with engine_around(Detector(network, 0.5), EigenCam(network.levels)) as toy:
        for width, height in ((640, 360), (400, 600)):
            for x, y in ((100, 60), (width - 130, height - 110)):
                picture = grey(height, width)
                picture[y : y + 60, x : x + 80] = 255
                (result,) = toy.explain([frame(picture, discontinuity=True)])
                assert np.abs(centre_of_heat(result) - [x + 40, y + 30]).max() < 6
                scale = min(378 / min(width, height), 504 / max(width, height))
                rows, columns = result.explanation.map.shape
                assert rows == round(round(height * scale) / fine[0])
                assert columns == round(round(width * scale) / fine[1])
