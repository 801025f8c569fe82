"""An export in a format, and the boxes that have to come out of it again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from streamcam.export.dataset_folder import DatasetFolder
from streamcam.export.exporter import classes_of, export_all, sources_of
from streamcam.export.formats import FORMATS, Format
from tests.export.explained import explain_video, save_maps
from tests.report.records import detection

BoxesByImage: TypeAlias = dict[str, list[tuple[str, tuple[float, ...]]]]
"""Labels and boxes (x1, y1, x2, y2 in pixels) by the picture's name."""

FOREIGN = '<b>"dog"</b> & \x1b[31m'
"""A label that must act on nothing."""

SHOWN = '<b>"dog"</b> & \\x1b[31m'

SIZE = (160, 96)


def _boxes(number: int) -> list[dict[str, Any]]:
    if number == 2:
        return []
    first = detection(box=(10.25 + 4 * number, 20.5, 40.75, 70.3), confidence=0.8125, track=7)
    second = detection("dog", box=(0, 0, 160, 96), confidence=0.6, lift=0.4)
    return [first, second, detection(FOREIGN, box=(100.1, 3.3, 101.2, 95.9), confidence=0.5)]


EXPECTED: BoxesByImage = {
    f"clip_{5 * number:06}.jpg": [
        (SHOWN if one["label"] == FOREIGN else one["label"], tuple(one["box"]))
        for one in _boxes(number)
    ]
    for number in range(4)
}


def sample_export(folder: Path, form: str) -> Path:
    """Export four frames, the third without boxes, the first two with maps."""
    explain_video(folder / "in", folder / "out", count=4, boxes=_boxes)
    save_maps(folder / "out", "clip", [0, 5], archive=False)
    sources = sources_of(folder / "out")
    to = folder / "my set"
    with DatasetFolder(to, FORMATS[Format(form)], classes_of(sources)) as dataset:
        export_all(sources, dataset, lambda *_: None)
        dataset.publish()
    return to


def assert_same_boxes(found: BoxesByImage, within: float = 0.5) -> None:
    """Assert that labels and boxes are those that were exported, to `within` pixels."""
    assert found.keys() == EXPECTED.keys()
    for image, expected in EXPECTED.items():
        pairs = list(zip(sorted(found[image]), sorted(expected), strict=True))
        assert [one[0] for one, _ in pairs] == [one[0] for _, one in pairs]
        for (_, box), (_, wanted) in pairs:
            assert max(abs(a - b) for a, b in zip(box, wanted, strict=True)) <= within


def corners(x: float, y: float, width: float, height: float) -> tuple[float, ...]:
    return (x, y, x + width, y + height)


def in_pixels(shares: Iterable[float]) -> tuple[float, ...]:
    """Return x, y, width and height, in shares of the sample's frames, as corners in pixels."""
    x, y, width, height = shares
    return corners(x * SIZE[0], y * SIZE[1], width * SIZE[0], height * SIZE[1])
