"""Which detections a camera's settings select."""

from dataclasses import replace

import numpy as np
import pytest

from streamcam.cameras.engines import DetectionFilter, region
from streamcam.types import Detection, Focus, FrameResult
from tests.sinks.items import explained, frame

WIDTH, HEIGHT = 200, 100


def result_of(*detections: Detection) -> FrameResult:
    return explained(frame(0, shown=np.zeros((HEIGHT, WIDTH, 3), np.uint8)), detections)


def at(x: float, y: float, label: str = "person", confidence: float = 0.9) -> Detection:
    """Return a detection whose object stands at x, y, in shares of width and height."""
    x, y = x * WIDTH, y * HEIGHT
    return Detection(label, 1, confidence, (x - 10, y - 30, x + 10, y), Focus(0.3, 2.0, True))


def selected(selection: DetectionFilter, *detections: Detection) -> list[int]:
    wanted = selection.apply(result_of(*detections)).detections
    return [detections.index(detection) for detection in wanted]


def test_without_settings_all_counts_and_nothing_is_copied() -> None:
    result = result_of(at(0.5, 0.5), at(0.1, 0.9, confidence=0.01))
    assert DetectionFilter().apply(result) is result


def test_confidence_counts_from_the_very_value() -> None:
    found = [at(0.5, 0.5, confidence=value) for value in (0.49, 0.5, 0.51)]
    assert selected(DetectionFilter(confidence=0.5), *found) == [1, 2]


def test_labels_are_known_in_any_case() -> None:
    found = [at(0.5, 0.5, label) for label in ("Person", "dog", "traffic light", "STRASSE")]
    selection = DetectionFilter(classes=frozenset(("person", "traffic light", "strasse")))
    assert selected(selection, *found) == [0, 2, 3]


def test_a_detection_lies_where_it_stands() -> None:
    """A tall one whose head is in the region stands outside it, and the other way round."""
    ground = DetectionFilter(ignored=[region((0, 0.5, 1, 1))])
    sky = DetectionFilter(ignored=[region((0, 0, 1, 0.5))])
    tall = replace(at(0.5, 0.9), box=(90, 5, 110, 90))
    assert selected(ground, tall) == []
    assert selected(sky, tall) == [0]


@pytest.mark.parametrize("foot", [(0.5, 1.0), (0.0, 0.8), (1.0, 1.0), (0.3, 0.5)])
def test_an_edge_belongs_to_its_region(foot: tuple[float, float]) -> None:
    assert selected(DetectionFilter(ignored=[region((0, 0.5, 1, 1))]), at(*foot)) == []


def test_polygons_boxes_and_several_of_them() -> None:
    triangle = region((0, 0, 0.5, 0, 0, 1))
    assert triangle.shape == (3, 2)
    assert region((0.2, 0.3, 0.8, 0.9)).tolist() == pytest.approx(
        np.float32([[0.2, 0.3], [0.8, 0.3], [0.8, 0.9], [0.2, 0.9]])
    )
    selection = DetectionFilter(ignored=[triangle, region((0.8, 0.8, 1, 1))])
    places = [(0.1, 0.1), (0.4, 0.5), (0.9, 0.9), (0.7, 0.9), (0.1, 0.7)]
    assert selected(selection, *(at(x, y) for x, y in places)) == [1, 3]


def test_a_region_is_the_same_at_every_size() -> None:
    selection = DetectionFilter(ignored=[region((0.5, 0, 1, 1))])
    for width, height in ((64, 48), (1920, 1080)):
        shown = np.zeros((height, width, 3), np.uint8)
        left = Detection("a", 1, 0.9, (0, 0, 0.8 * width, height), Focus(0.3, 2.0, True))
        right = Detection("a", 1, 0.9, (0.3 * width, 0, width, height), Focus(0.3, 2.0, True))
        assert selection.apply(explained(frame(0, shown=shown), (left, right))).detections == (
            left,
        )


def test_the_map_and_the_frame_are_left_as_they_are() -> None:
    result = result_of(at(0.5, 0.5))
    narrowed = DetectionFilter(confidence=1.0).apply(result)
    assert narrowed.detections == ()
    assert narrowed.explanation is result.explanation
    assert narrowed.frame is result.frame
