"""Maps hold still within a shot, and begin anew with the next."""

from itertools import pairwise

import numpy as np
import pytest

from streamcam.demo.source import DemoSource
from streamcam.types import FrameResult, Picture
from streamcam.vision.cam.stabilizer import (
    MapStabilizer,
    is_cut,
    natural_sign,
    thumbnail,
    upper_percentile,
)
from streamcam.vision.engine import Engine
from tests.vision.scenes import build, engine, frame, grey, noise, with_patch

ROWS, COLUMNS, CHANNELS = 16, 24, 32
RNG = np.random.default_rng(0)

SCENERY = with_patch(grey(36, 64), 20, 8, 16)
"""What the frames show where only their activations matter: anything but an empty picture."""


def blob(x: float, y: float, height: float = 1.0) -> np.ndarray:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return (height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)).astype(np.float32)


def components(activations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions, projections and shares by numpy's SVD, whose signs are arbitrary."""
    flat = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    scale = np.sqrt((flat**2).sum(1).mean())
    centred = flat - flat.mean(0)
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    projections = (centred @ directions[:2].T / scale).T.reshape(2, ROWS, COLUMNS)
    shares = strengths[:2] ** 2 / (strengths**2).sum()
    return directions[:2].astype(np.float32), projections.astype(np.float32), shares


def scene(*parts: tuple[np.ndarray, np.ndarray], seed: int = 0) -> np.ndarray:
    """Activations [rows, columns, channels]: maps times their channels, over a noisy ground."""
    rng = np.random.default_rng(seed)
    ground = 1 + 0.02 * rng.standard_normal((ROWS, COLUMNS, CHANNELS))
    return ground + sum(part[..., None] * channels for part, channels in parts)


ONE, TWO = np.abs(RNG.standard_normal((2, CHANNELS))) * np.eye(2).repeat(CHANNELS // 2, 1)

EVEN_TWO = TWO * np.linalg.norm(ONE) / np.linalg.norm(TWO)
"""As strong as the other."""


def randomly_signed(
    found: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    signs = rng.choice([-1.0, 1.0], 2).astype(np.float32)
    directions, projections, shares = found
    return directions * signs[:, None], projections * signs[:, None, None], shares


def test_arbitrary_signs_never_invert_the_map() -> None:
    rng = np.random.default_rng(1)
    stabiliser = MapStabilizer()
    flips = 0
    before = None
    for index in range(300):
        x, y = 4 + index * 0.05, 8 + 3 * np.sin(index / 20)
        found = randomly_signed(components(scene((blob(x, y), ONE), seed=index)), rng)
        flips += before is not None and float(found[0][0] @ before) < 0
        before = found[0][0]
        stable = stabiliser.stabilize(frame(SCENERY, index), *found)
        row, column = divmod(int(stable.heat.argmax()), COLUMNS)
        assert (abs(row - y), abs(column - x)) < (1.5, 1.5)
        assert np.median(stable.heat) < 0.1
    assert flips > 100, "the raw signs were meant to flip"


def shown_column(heat: np.ndarray) -> int:
    """Where the heat is, from left to right."""
    return round(float((heat.sum(0) * np.arange(COLUMNS)).sum() / heat.sum()))


def test_a_component_is_followed_when_two_swap() -> None:
    stabiliser = MapStabilizer()
    left, right = (ONE / np.linalg.norm(ONE), blob(5, 8)), (TWO / np.linalg.norm(TWO), blob(18, 8))
    columns, followed = [], []
    for index in range(6):
        order = (left, right) if index < 3 else (right, left)
        directions, projections = (
            np.stack(part).astype(np.float32) for part in zip(*order, strict=True)
        )
        found = randomly_signed((directions, projections, np.array([0.3, 0.29])), RNG)
        stable = stabiliser.stabilize(frame(SCENERY, index), *found)
        columns.append(shown_column(stable.heat))
        followed.append(stable.component)
    assert columns == [5] * 6
    assert followed == [0, 0, 0, 1, 1, 1]


def test_a_component_that_fades_is_given_up() -> None:
    stabiliser = MapStabilizer()
    columns = []
    for index in range(50):
        fading = blob(5, 8, max(0.0, 1.2 - index / 30))
        found = components(scene((fading, ONE), (blob(18, 8), EVEN_TWO)))
        columns.append(shown_column(stabiliser.stabilize(frame(SCENERY, index), *found).heat))
    assert columns[0] == 5
    assert columns[-1] == 18


def test_the_sign_makes_large_activations_hot() -> None:
    directions, projections, _ = components(scene((blob(5, 8), ONE)))
    for sign in (1, -1):
        chosen = natural_sign(sign * directions[0], sign * projections[0])
        assert (chosen * sign * projections[0]).argmax() == blob(5, 8).argmax()


def test_without_a_preferred_sign_the_larger_extreme_is_hot() -> None:
    contrast = np.concatenate([ONE[: CHANNELS // 2], -ONE[: CHANNELS // 2]])
    assert natural_sign(contrast, blob(5, 8)) == 1
    assert natural_sign(contrast, -blob(5, 8)) == -1


def test_a_contradicted_sign_is_corrected() -> None:
    """As on a camera that runs for months: the direction turns round slowly, without a cut."""
    stabiliser = MapStabilizer()
    even = np.full(CHANNELS, CHANNELS**-0.5, np.float32)
    odd = even * np.tile([1, -1], CHANNELS // 2).astype(np.float32)
    shares = np.array([0.5, 0.1])
    for index in range(400):
        angle = np.pi * index / 400
        direction = np.cos(angle) * even + np.sin(angle) * odd
        directions = np.stack([direction, odd]).astype(np.float32)
        projections = np.stack([blob(5, 8) * np.cos(angle), blob(18, 8)]).astype(np.float32)
        stable = stabiliser.stabilize(frame(SCENERY, index), directions, projections, shares)
    assert shown_column(stable.heat) == 5


def test_flicker_is_the_mean_change_of_the_map() -> None:
    stabiliser = MapStabilizer()
    maps = []
    for index in range(3):
        found = components(scene((blob(5 + index, 8), ONE)))
        maps.append(stabiliser.stabilize(frame(SCENERY, index), *found))
    assert maps[0].flicker is None
    for before, after in pairwise(maps):
        assert after.flicker == pytest.approx(float(np.abs(after.heat - before.heat).mean()))


@pytest.mark.parametrize("how", ["cut", "discontinuity", "forget", "size"])
def test_a_new_shot_has_no_state_of_the_one_before(how: str) -> None:
    stabiliser = MapStabilizer()
    bright = components(scene((blob(5, 8, 5.0), ONE)))
    dim = components(scene((blob(18, 8, 1.0), TWO)))
    stabiliser.stabilize(frame(noise(90, 160, 1), 0), *bright)
    picture = noise(90, 160, 1)
    if how == "cut":
        picture = np.ascontiguousarray(np.tile(np.arange(160, dtype=np.uint8)[:, None], (90, 1, 3)))
    if how == "forget":
        stabiliser.forget("a")
    if how == "size":
        dim = (dim[0], dim[1][:, 2:], dim[2])
    after = stabiliser.stabilize(frame(picture, 1, discontinuity=how == "discontinuity"), *dim)
    assert after.flicker is None
    assert after.heat.max() > 0.9


def test_sources_are_independent() -> None:
    mixed, alone = MapStabilizer(), MapStabilizer()
    for index in range(10):
        a = components(scene((blob(5 + index, 8), ONE), seed=index))
        b = components(scene((blob(18 - index, 8, 3), TWO), seed=index))
        expected = alone.stabilize(frame(SCENERY, index, "a"), *a)
        mixed.stabilize(frame(SCENERY, index, "b"), *b)
        got = mixed.stabilize(frame(SCENERY, index, "a"), *a)
        assert np.array_equal(got.heat, expected.heat)


def test_the_map_does_not_brighten_when_a_bright_object_leaves() -> None:
    stabiliser = MapStabilizer()
    steady = (blob(5, 8, 0.5), ONE)
    with_it = components(scene(steady, (blob(18, 8, 3.0), ONE)))
    without = components(scene(steady))
    heats = [
        stabiliser.stabilize(frame(grey(36, 64), i), *(with_it if i < 10 else without)).heat[8, 5]
        for i in range(15)
    ]
    assert heats[9] < 0.4
    assert heats[14] < 0.5


def panned(index: int) -> Picture:
    return np.ascontiguousarray(noise(90, 400, 3)[:, index * 8 : index * 8 + 160])


def test_cuts_are_distinguished_from_motion_light_and_darkness() -> None:
    street = np.repeat(np.repeat(noise(9, 16, 5, 60), 10, 0), 10, 1)
    other = np.repeat(np.repeat(noise(9, 16, 6, 60), 10, 0), 10, 1)
    lit = np.clip(street.astype(int) + 60, 0, 255).astype(np.uint8)
    dark = [noise(90, 160, seed, 8) // 8 for seed in (1, 2)]
    assert is_cut(thumbnail(street), thumbnail(other))
    assert not is_cut(thumbnail(street), thumbnail(lit))
    assert not is_cut(thumbnail(panned(0)), thumbnail(panned(1)))
    assert not is_cut(thumbnail(dark[0]), thumbnail(dark[1]))


@pytest.fixture(scope="module")
def nano() -> Engine:
    return engine("nano", min_size=160, max_size=288)


def explained(nano: Engine, pictures: list[Picture]) -> list[FrameResult]:
    nano.forget("a")
    return nano.explain([frame(p, i) for i, p in enumerate(pictures)])


def test_an_empty_picture_has_no_heat(nano: Engine) -> None:
    for value in (0, 128, 255):
        (result,) = explained(nano, [grey(180, 320, value)])
        assert result.explanation.map.mean() < 0.1
    (result,) = explained(nano, [noise(180, 320, deviation=2)])
    assert result.explanation.map.mean() < 0.1


def test_the_shipped_detector_has_heat_on_objects_only() -> None:
    with build(device="cpu") as shipped:
        for value in (0, 64, 128, 192, 255):
            (result,) = explained(shipped, [grey(432, 768, value)])
            assert result.explanation.map.max() == 0, value
        street = DemoSource("demo://street?seed=2").scene.picture(1.0)
        (result,) = explained(shipped, [street])
        assert result.explanation.map.max() == 1


def test_a_single_picture_gets_a_whole_map_at_once(nano: Engine) -> None:
    (result,) = explained(nano, [with_patch(grey(180, 320), 100, 60, 64)])
    assert result.explanation.map.max() > 0.8
    assert result.explanation.flicker is None
    assert 0 < result.explanation.explained_variance <= 1


def test_the_background_stays_dark_while_objects_come_and_go(nano: Engine) -> None:
    empty, busy = grey(180, 320), with_patch(grey(180, 320), 100, 60, 64)
    results = explained(nano, [empty] * 3 + [busy] * 3 + [empty] * 3 + [busy] * 3)
    for index, result in enumerate(results):
        heat = result.explanation.map
        if index // 3 % 2:
            assert heat.max() > 0.6
        else:
            assert heat.mean() < 0.1


def test_a_moving_patch_never_inverts_in_hundreds_of_frames(nano: Engine) -> None:
    pictures = []
    for index in range(200):
        x, y = 40 + index % 100, 50 + int(20 * np.sin(index / 15))
        pictures.append(with_patch(noise(180, 320, index, 3), x, y, 64))
    results = explained(nano, pictures)
    for result in results:
        x, y = result.explanation.peak
        left, top = 40 + result.frame.index % 100, 50 + int(20 * np.sin(result.frame.index / 15))
        assert left - 16 <= x <= left + 80
        assert top - 16 <= y <= top + 80
    flicker = [r.explanation.flicker for r in results[1:] if r.frame.index % 100]
    assert max(f for f in flicker if f is not None) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (17, 30), (48, 84)])
def test_full_heat_is_a_percentile(size: tuple[int, int]) -> None:
    raw = np.random.default_rng(0).normal(size=size).astype(np.float32)
    assert upper_percentile(raw) == pytest.approx(np.percentile(raw, 99.5), abs=1e-6)
