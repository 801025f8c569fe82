from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from streamcam import Explainer
from streamcam.errors import SourceError, UsageError
from streamcam.types import Picture
from tests.media import number_of, numbered, write_video
from tests.vision.scenes import grey, noise, with_patch


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with Explainer(weights="random", confidence=0.0, precision="fp32") as explainer:
        yield explainer


def test_a_picture_gives_a_result(explainer: Explainer) -> None:
    picture = with_patch(grey(120, 200), 60, 40, 40)
    result = explainer(picture)
    assert result.frame.picture is picture
    assert result.explanation.map.dtype == np.float32
    assert 0 <= result.explanation.map.min() <= result.explanation.map.max() <= 1
    assert all(0 <= d.box[0] <= d.box[2] <= 200 for d in result.detections)


def test_pictures_of_all_sizes_give_results_in_order(explainer: Explainer) -> None:
    pictures = [noise(120, 200), noise(200, 120), noise(64, 64)]
    results = explainer(pictures)
    assert [r.frame.picture.shape for r in results] == [p.shape for p in pictures]
    assert all(r.explanation.flicker is None for r in results)
    assert explainer([]) == []


def test_the_frames_of_a_video_belong_together(explainer: Explainer) -> None:
    pictures = [with_patch(grey(120, 200), 60 + x, 40, 40) for x in range(3)]
    first = explainer(pictures[:2], video="street")
    explainer(noise(120, 200))
    then = explainer(pictures[2], video="street")
    assert [r.explanation.flicker is None for r in (*first, then)] == [True, False, False]
    assert then.frame.index == 2
    explainer.forget("street")
    assert explainer(pictures[0], video="street").explanation.flicker is None


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        "picture.jpg",
    ],
)
def test_other_values_than_pictures_are_refused(explainer: Explainer, wrong: object) -> None:
    with pytest.raises(UsageError, match="must be an RGB array, uint8"):
        explainer([wrong])  # type: ignore[list-item]


def test_a_videos_frames_come_one_by_one(explainer: Explainer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(60, 96, 64), rate=10)
    results = list(explainer.explain_video(path, max_fps=5, start=1, end=4))
    assert [result.frame.index for result in results] == list(range(10, 40, 2))
    assert [number_of(result.frame.picture) for result in results] == list(range(10, 40, 2))
    assert [result.explanation.flicker is None for result in results] == [True] + [False] * 14
    expected = explainer([result.frame.picture for result in results[:3]], video="again")
    for one, other in zip(results, expected, strict=False):
        assert_allclose(one.explanation.map, other.explanation.map, atol=1e-5)
    explainer.forget("again")


def test_a_video_may_be_left_before_its_end(explainer: Explainer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30, 96, 64), rate=10)
    frames = explainer.explain_video(str(path), every=1)
    assert [next(frames).frame.index for _ in range(3)] == [0, 1, 2]
    frames.close()
    again = next(explainer.explain_video(path, every=1))
    assert again.explanation.flicker is None, "state of the former run is left"


def test_a_missing_video_is_a_source_error(explainer: Explainer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.mp4"):
        next(explainer.explain_video(tmp_path / "nowhere.mp4"))


def read_only(picture: Picture) -> Picture:
    picture.flags.writeable = False
    return picture


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda p: np.ascontiguousarray(p[..., ::-1])[..., ::-1], id="reversed"),
        pytest.param(lambda p: np.pad(p, ((3, 4), (5, 6), (0, 1)))[3:-4, 5:-6, :3], id="sliced"),
        pytest.param(lambda p: np.asfortranarray(p), id="Fortran order"),
        pytest.param(lambda p: np.ascontiguousarray(p[::-1, ::-1])[::-1, ::-1], id="flipped"),
        pytest.param(lambda p: read_only(p.copy()), id="read-only"),
        pytest.param(lambda p: np.frombuffer(p.tobytes(), np.uint8).reshape(p.shape), id="buffer"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_of_any_memory_layout_are_explained(
    explainer: Explainer, view: Callable[[Picture], Picture]
) -> None:
    picture = with_patch(grey(120, 200), 60, 40, 40)
    given = view(picture)
    assert np.array_equal(given, picture)
    expected = explainer(picture)
    assert np.array_equal(explainer(given).explanation.map, expected.explanation.map)
    assert np.array_equal(given, picture)


def test_description(explainer: Explainer) -> None:
    assert explainer.description.model == "nano"
    assert explainer.description.classes[1] == "person"
