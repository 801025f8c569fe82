import itertools
import subprocess
import sys
import time as clock
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from streamcam.demo import CLASS_IDS, DemoScene
from streamcam.demo.source import DemoCapture, DemoSource
from streamcam.demo.vehicles import Vehicle, draw_vehicle
from streamcam.errors import SourceError
from streamcam.sources.live import Address
from tests.sources.selectors import Everything, Periodic


def test_the_same_seed_gives_the_same_pixels_on_any_run() -> None:
    code = (
        "import hashlib; from streamcam.demo import DemoScene; s = DemoScene(7);"
        "print(hashlib.sha256(s.picture(3.2).tobytes()).hexdigest(), s.truth(3.2))"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)]
    assert runs[0] == runs[1]


def test_pictures_do_not_depend_on_the_order_of_asking() -> None:
    forwards, backwards = DemoScene(3), DemoScene(3)
    first = [forwards.picture(time) for time in (0.0, 1.0, 2.0)]
    second = [backwards.picture(time) for time in (2.0, 1.0, 0.0)]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(second), strict=True))


def test_seeds_differ() -> None:
    pictures = [DemoScene(seed).picture(1.0).astype(int) for seed in range(6)]
    for place, picture in enumerate(pictures):
        for other in pictures[:place]:
            assert np.abs(picture - other).mean() > 10


def test_something_moves() -> None:
    street = DemoScene(1)
    assert np.abs(street.picture(0.0).astype(int) - street.picture(0.5)).mean() > 0.5


def test_boxes_lie_inside_and_name_what_coco_knows() -> None:
    for seed in range(20):
        street = DemoScene(seed)
        for true in street.truth(4.0):
            x1, y1, x2, y2 = true.box
            assert 0 <= x1 < x2 <= street.width
            assert 0 <= y1 < y2 <= street.height
            assert CLASS_IDS[true.label] == true.class_id


def test_all_classes_appear_and_people_most_often() -> None:
    counts = Counter(true.label for seed in range(40) for true in DemoScene(seed).truth(2.0))
    assert set(counts) == set(CLASS_IDS)
    assert counts.most_common(1)[0][0] == "person"
    assert min(counts.values()) >= 3


def test_boxes_are_tight_around_what_changed() -> None:
    """Draw the street without one object: all that changes, but for its shadow, is in its box."""
    checked = 0
    for seed in range(4):
        street = DemoScene(seed)
        time = 2.5
        true = street.truth(time)
        street._cast_shadows = lambda *_: None  # type: ignore[method-assign]
        whole = street.picture(time)
        for actor in list(street._actors):
            if len(actor.parts) != 1 or not actor.parts[0][0]:
                continue
            street._actors.remove(actor)
            difference = np.abs(street.picture(time).astype(int) - whole).max(axis=2)
            changed = difference > 48  # blended edges aside
            kept = [each.box for each in street.truth(time)]
            street._actors.append(actor)
            street._actors.sort(key=lambda each: each.scale)
            gone = [each for each in true if each.box not in kept]
            if len(gone) != 1 or not changed.any():
                continue
            rows, columns = np.nonzero(changed)
            seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            x1, y1, x2, y2 = gone[0].box
            assert seen[0] >= x1 - 1.5
            assert seen[1] >= y1 - 1.5
            assert seen[2] <= x2 + 1.5
            assert seen[3] <= y2 + 1.5
            area = (seen[2] - seen[0]) * (seen[3] - seen[1])
            if area > 0.97 * (x2 - x1) * (y2 - y1):
                checked += 1
    assert checked >= 8, "most boxes are as small as what is seen"


def test_hidden_objects_are_left_out() -> None:
    street = DemoScene(2)
    time = 2.5
    behind = [actor for actor in street._actors if actor.speed and actor.parts[0][0] == "person"]
    before = street.truth(time)
    for actor in behind:
        bus = Vehicle.random(np.random.default_rng(0), "bus")
        hiding = replace(
            actor,
            scale=actor.scale * 1.001,
            start=actor.column(time, street.width),
            speed=0.0,
            parts=(("bus", lambda pen, _distance, _time, bus=bus: draw_vehicle(pen, bus, 0.0)),),
        )
        street._actors.append(hiding)
    street._actors.sort(key=lambda each: each.scale)
    people = [
        [true for true in truth if true.label == "person"] for truth in (before, street.truth(time))
    ]
    assert len(people[0]) >= 3
    assert len(people[1]) < len(people[0]) / 2
    assert any(true.label == "bus" for true in street.truth(time))


def test_objects_keep_their_identity_until_they_leave() -> None:
    street = DemoScene(1)
    seen: dict[str, list[tuple[int, float]]] = {}
    for step in range(200):
        frame = street.truth(step / 5)
        assert len({true.identity for true in frame}) == len(frame)
        for true in frame:
            assert true.identity is not None
            seen.setdefault(true.identity, []).append((step, (true.box[0] + true.box[2]) / 2))
    returned = {identity.rsplit(".", 2)[0] for identity in seen}
    assert len(seen) > len(returned) + 5, "who comes again is somebody else"
    for path in seen.values():
        for (step, x), (later, onwards) in itertools.pairwise(path):
            assert abs(onwards - x) <= 80 * (later - step), "nobody jumps"


@pytest.mark.parametrize(("width", "height"), [(160, 90), (640, 480), (1080, 1920), (1921, 1081)])
def test_any_size_can_be_drawn(width: int, height: int) -> None:
    street = DemoScene(2, width, height)
    picture = street.picture(1.0)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    street.truth(1.0)


def test_a_picture_costs_little() -> None:
    street = DemoScene(1)
    street.picture(0.0)
    started = clock.process_time()
    for step in range(20):
        street.picture(step / 25)
        street.truth(step / 25)
    assert (clock.process_time() - started) / 20 < 0.08


def test_the_source_follows_its_options() -> None:
    source = DemoSource("demo://street?seconds=2&seed=5&fps=12.5&width=320&height=180")
    info = source.info
    assert (info.width, info.height, info.frame_count) == (320, 180, 25)
    assert info.frame_rate == 12.5
    assert info.duration == 2.0
    frames = list(source.frames(Periodic(0.4)))
    assert [frame.index for frame in frames] == [0, 5, 10, 15, 20]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert np.array_equal(frames[2].picture, DemoScene(5, 320, 180).picture(frames[2].time))
    assert source.scene.truth(frames[2].time) == DemoScene(5, 320, 180).truth(frames[2].time)


def test_defaults() -> None:
    info = DemoSource("demo://street").info
    assert (info.width, info.height, info.frame_rate, info.duration) == (768, 432, 25, 10)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("demo://beach", "no such demo scene"),
        ("demo://street/somewhere", "no such demo scene"),
        ("demo://street?colour=red", "option 'colour' is unknown"),
        ("demo://street?seed=1&seed=2", "option 'seed' is given twice"),
        ("demo://street?seed=one", "seed is not a number: 'one'"),
        ("demo://street?seed=", "seed is not a number: ''"),
        ("demo://street?fps=1/0", "fps is not a number: '1/0'"),
        ("demo://street?seed=1.5", "seed must be a whole number from 0 to 4294967295"),
        ("demo://street?seconds=0", "seconds must be a number from 0.01 to 86400"),
        ("demo://street?fps=1000", "fps must be a number from 0.1 to 240"),
        ("demo://street?width=10", "width must be a whole number from 160 to 3840"),
        ("demo://street?height=99999", "height must be a whole number from 90 to 2160"),
    ],
)
def test_bad_options_are_refused(url: str, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        DemoSource(url)
    assert caught.value.message == f"{url}: {reason}"
    assert "demo://street?" in (caught.value.hint or "")


def test_a_start_in_the_middle() -> None:
    source = DemoSource("demo://street?seconds=1&fps=10&width=160&height=90")
    assert [frame.index for frame in source.frames(Everything(start=0.55), every=True)] == [
        6,
        7,
        8,
        9,
    ]


def test_a_capture_ends_though_its_last_frames_are_late() -> None:
    capture = DemoCapture(Address("demo://street?seconds=0.4&width=160&height=90"), "street", None)
    taken = 0
    for frame in capture.frames():
        if frame is not None:
            taken += 1
            assert taken < 10, "it goes on after its end"
            clock.sleep(0.3)
    assert taken == 2
