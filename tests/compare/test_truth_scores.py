"""Precision, recall and AP50, compared with pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamcam.compare.truth_scores import TruthTally
from streamcam.types import Box, Detection, TrueObject
from tests.compare.made_results import detection

LABELS = {1: "person", 2: "dog"}


def drawn(random: np.random.Generator, count: int) -> list[Box]:
    corners = random.uniform(0, 300, (count, 2))
    sides = random.uniform(20, 90, (count, 2))
    return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sides, strict=True)]


def jittered(random: np.random.Generator, box: Box) -> Box:
    x1, y1, x2, y2 = (side + random.normal(0, 5) for side in box)
    return x1, y1, max(x1 + 1, x2), max(y1 + 1, y2)


def scene(seed: int) -> tuple[list[list[TrueObject]], list[list[Detection]]]:
    """True boxes of 20 pictures, and detections: most of them moved, some missed, some invented."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(20):
        ids = random.integers(1, 3, 6)
        boxes = drawn(random, 6)
        truth.append(
            [TrueObject(LABELS[i], i, b) for i, b in zip(ids.tolist(), boxes, strict=True)]
        )
        kept = [one for one in truth[-1] if random.random() < 0.7]
        own = [
            detection(one.label, random.uniform(0.3, 1), jittered(random, one.box)) for one in kept
        ]
        own += [
            detection(LABELS[1 + n % 2], random.uniform(0.3, 0.8), box)
            for n, box in enumerate(drawn(random, 3))
        ]
        found.append(own)
    return truth, found


def of_pycocotools(truth: list[list[TrueObject]], found: list[list[Detection]]) -> dict[str, float]:
    """AP50 of each class."""

    def sides(box: Box) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    coco = COCO()
    annotations = [
        {
            "image_id": n,
            "category_id": one.class_id,
            "bbox": sides(one.box),
            "iscrowd": 0,
            "area": sides(one.box)[2] * sides(one.box)[3],
        }
        for n, objects in enumerate(truth)
        for one in objects
    ]
    coco.dataset = {
        "info": {},
        "images": [{"id": n} for n in range(len(truth))],
        "categories": [{"id": i, "name": label} for i, label in LABELS.items()],
        "annotations": [{"id": n + 1, **one} for n, one in enumerate(annotations)],
    }
    ids = {label: i for i, label in LABELS.items()}
    results = [
        {"image_id": n, "category_id": ids[d.label], "bbox": sides(d.box), "score": d.confidence}
        for n, detections in enumerate(found)
        for d in detections
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, 2]  # at IoU 0.5, all areas, 100 boxes
    return {label: float(precision[:, n].mean()) for n, label in enumerate(LABELS.values())}


@pytest.mark.parametrize("seed", [0, 1])
def test_ap50_is_that_of_pycocotools(seed: int) -> None:
    truth, found = scene(seed)
    tally = TruthTally()
    for unit, (objects, detections) in enumerate(zip(truth, found, strict=True)):
        tally.add(unit, objects, detections, [])
    scores = tally.scores(len(truth))
    assert scores is not None
    expected = of_pycocotools(truth, found)
    assert {one.label: one.a.ap50 for one in scores.classes} == pytest.approx(expected, abs=1e-9)
    assert scores.a.ap50 == pytest.approx(np.mean(list(expected.values())))
    assert (scores.b.recall, scores.b.precision, scores.b.ap50) == (0, None, 0)
    assert scores.gain.high < 0


def test_counts_are_exact_and_each_true_box_is_found_once() -> None:
    truth = [TrueObject("person", 1, (0, 0, 10, 10)), TrueObject("dog", 2, (20, 0, 30, 10))]
    person = detection("Person", 0.9, (0, 0, 10, 10))
    twice = [person, detection("person", 0.8, (0, 0, 10, 9))]
    tally = TruthTally(["person", "dog", "bird"])
    tally.add(0, truth, twice, [person, detection("bird", 0.7, (0, 0, 10, 10))])
    tally.add(1, [], [detection("kite", 0.9, (0, 0, 9, 9))], [])
    scores = tally.scores(2)
    assert scores is not None
    assert scores.frames == 2
    assert (scores.a.right, scores.a.wrong, scores.a.recall) == (1, 1, 0.5)
    assert (scores.b.right, scores.b.wrong, scores.b.precision) == (1, 1, 0.5)
    assert scores.f1 == pytest.approx((0.5, 0.5))
    assert scores.unknown == {"kite": 1}
    assert [one.label for one in scores.classes] == ["dog", "person", "bird"]


def test_without_truth_there_are_no_scores() -> None:
    assert TruthTally(["person"]).scores(3) is None
