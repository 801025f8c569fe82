from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from streamcam.quantization.agreement import Agreement, FloatReference, FrameScore, agreement
from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.network import Candidates, FeatureLevels, Levels, Network, Raw, Sizing
from tests.media import flat

PICTURES = [flat(64, 64, [grey] * 3) for grey in (40, 120, 200)]
GOOD = Agreement(40, 100, 100, 0.98, 0.99, 0.999, 0.99)


class ScriptedNetwork(Network):
    """Gives the boxes that it was told for every picture, and a map that follows the picture."""

    def __init__(self, boxes: Sequence[tuple[float, ...]], noise: float = 0.0) -> None:
        super().__init__(
            sizing=Sizing(shortest=64, longest=64),
            levels=FeatureLevels.of({"only": 8}),
            categories={1: "fox", 2: "hen"},
        )
        self._boxes = torch.tensor(boxes).reshape(-1, 6)
        self._noise = noise
        self._random = torch.Generator().manual_seed(1)

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        del placements
        columns = torch.arange(64.0).reshape(8, 8)
        level = torch.stack([columns, columns.T, columns * 0])[None] * canvas.mean()
        noise = torch.randn(level.shape, generator=self._random) * self._noise
        return {}, {"only": (level + noise).expand(len(canvas), -1, -1, -1).clone()}

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        del raw
        wanted = self._boxes[self._boxes[:, 4] > threshold]
        found = Candidates(wanted[:, :4], wanted[:, 4], wanted[:, 5].long())
        return [found] * len(placements)


BOXES = [(0, 0, 20, 20, 0.9, 1), (30, 30, 50, 50, 0.6, 2)]


def compare(other: ScriptedNetwork) -> list[FrameScore]:
    reference = FloatReference(ScriptedNetwork(BOXES), 0.5, PICTURES)
    return reference.scores(other)


def test_a_network_agrees_with_itself() -> None:
    found = agreement(compare(ScriptedNetwork(BOXES)))
    assert (found.frames, found.float_boxes, found.int8_boxes) == (3, 6, 6)
    assert (found.found, found.confirmed) == (1.0, 1.0)
    assert found.map_low == pytest.approx(1.0, abs=1e-4)
    assert found.shortfall is None


@pytest.mark.parametrize(
    ("boxes", "found", "confirmed"),
    [
        ([BOXES[0]], 3 / 6, 3 / 3),
        ([*BOXES, (0, 40, 10, 50, 0.8, 1)], 6 / 6, 6 / 9),
        # Of another class, moved too far, and twice in one place.
        ([BOXES[0], (30, 30, 50, 50, 0.6, 1)], 3 / 6, 3 / 6),
        ([BOXES[0], (40, 30, 60, 50, 0.6, 2)], 3 / 6, 3 / 6),
        # Just below the threshold it is the same finding, further below it is not.
        ([BOXES[0], (30, 30, 50, 50, 0.47, 2)], 6 / 6, 3 / 3),
        ([BOXES[0], (30, 30, 50, 50, 0.44, 2)], 3 / 6, 3 / 3),
    ],
)
def test_boxes_are_found_again_or_not(
    boxes: list[tuple[float, ...]], found: float, confirmed: float
) -> None:
    measured = agreement(compare(ScriptedNetwork(boxes)))
    assert measured.found == pytest.approx(found)
    assert measured.confirmed == pytest.approx(confirmed)


def test_maps_are_compared_by_correlation() -> None:
    noisy = compare(ScriptedNetwork(BOXES, noise=2.0))
    similarities = [score.similarity for score in noisy]
    measured = agreement(noisy)
    assert max(similarities) < 0.999
    assert measured.map_mean == pytest.approx(np.mean(similarities))
    assert measured.map_low == pytest.approx(np.percentile(similarities, 5))
    assert noisy[0].value == similarities[0]


def test_frames_are_compared_by_number() -> None:
    reference = FloatReference(ScriptedNetwork(BOXES), 0.5, PICTURES)
    assert len(reference.scores(ScriptedNetwork(BOXES), [2, 0])) == 2


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (GOOD, None),
        (replace(GOOD, found=0.9), "90.0% of the confident boxes"),
        (replace(GOOD, confirmed=None), "0.0% of the confident boxes"),
        (replace(GOOD, map_low=0.97), "0.970 only at the 5th percentile"),
        (replace(GOOD, found=None), "no box"),
    ],
)
def test_what_is_below_a_bar_is_told(measured: Agreement, sentence: str | None) -> None:
    if sentence is None:
        assert measured.shortfall is None
        assert measured.deficit == 0
    else:
        assert sentence in (measured.shortfall or "")
