from pathlib import Path

import numpy as np
import pytest

from streamcam.bench.benchmark import run_alternately, speed_ratio
from streamcam.bench.clip import make_clip
from streamcam.bench.measurements import Spread
from streamcam.errors import UsageError
from streamcam.pipeline.stream import Sampler
from streamcam.sources.inputs import open_source

SCENE = "demo://street?seconds=1&width=192&height=108"


def test_a_scene_becomes_a_file_of_its_first_frames(tmp_path: Path) -> None:
    clip = make_clip(SCENE, 5, tmp_path)
    assert (clip.name, clip.path.parent, clip.end) == (SCENE, tmp_path, None)
    assert len(clip.frames) == 5
    drawn = next(iter(open_source(SCENE).frames(Sampler(every=1))))
    error = np.abs(drawn.picture.astype(float) - clip.frames[0].picture).mean()
    assert error < 10, "it is the scene, but for the encoder's loss"


@pytest.mark.parametrize(("count", "expected"), [(7, 7), (100, 25)])
def test_a_run_up_to_the_clips_end_has_the_same_frames(
    tmp_path: Path, count: int, expected: int
) -> None:
    whole = make_clip(SCENE, 25, tmp_path)
    clip = make_clip(str(whole.path), count, tmp_path / "none")
    assert len(clip.frames) == expected
    source = open_source(str(clip.path))
    seen = list(source.frames(Sampler(every=1, end=clip.end)))
    source.close()
    assert [frame.pts for frame in seen] == [frame.pts for frame in clip.frames]


def test_a_picture_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "one.png")
    with pytest.raises(UsageError, match="needs a video"):
        make_clip(str(tmp_path / "one.png"), 5, tmp_path)


def test_runs_alternate_forwards_and_backwards() -> None:
    order: list[str] = []
    calls: list[tuple[str, int, int]] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    runs = {name: lambda name=name: run(name) for name in "abc"}
    times = run_alternately(runs, 3, lambda *what: calls.append(what))
    assert "".join(order) == "abccbaabc"
    assert calls[3] == ("c", 3, 9)
    assert [len(one.clock) for one in times.values()] == [3, 3, 3]
    assert times["a"].detections == 7
    times["a"].clock, times["b"].clock = [1.0, 2.0, 1.0], [3.0, 3.0, 5.0]
    assert speed_ratio(times["a"], times["b"]) == Spread(3.0, 1.5, 5.0)
