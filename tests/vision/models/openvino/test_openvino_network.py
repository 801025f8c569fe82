"""What OpenVINO computes is what the network computes itself."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Network
from streamcam.vision.models.openvino.openvino_network import OpenVinoNetwork
from tests.vision.models.conformance import PICTURES, THRESHOLD, NetworkConformance
from tests.vision.models.openvino.networks import NETWORKS, in_openvino
from tests.vision.scenes import engine_around, frame, noise


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenVinoNetwork]:
    made = in_openvino(NETWORKS[request.param](tmp_path_factory.mktemp("openvino")))
    yield made
    made.close()


class TestOpenVinoConformance(NetworkConformance):
    """Networks of every family, run by OpenVINO."""

    def test_the_outputs_follow_from_the_levels(self, network: Network) -> None:
        """The network's own heads compute them, with other rounding."""
        detector = Detector(network, THRESHOLD)
        canvas, placement = detector.canvas(PICTURES[0])
        with torch.inference_mode():
            raw, levels = network.forward(canvas, [placement])
            (expected,) = network.decode(raw, [placement], THRESHOLD)
            copies = {name: level.clone() for name, level in levels.items()}
            replayed = network.from_levels(copies, [placement])
            (found,) = network.decode(replayed, [placement], THRESHOLD)
        assert len(found.scores) == pytest.approx(len(expected.scores), abs=2)
        near = torch.cdist(expected.boxes, found.boxes, p=torch.inf) < 0.5
        same = expected.class_ids[:, None] == found.class_ids
        close = (expected.scores[:, None] - found.scores).abs() < 1e-3
        matched = (near & same & close).any(dim=1)
        assert bool(matched[expected.scores > 1.01 * THRESHOLD].all())

    def test_gradients_reach_the_levels(self, network: Network) -> None:
        if network.differentiable:
            super().test_gradients_reach_the_levels(network)


def test_boxes_and_maps_equal_those_of_the_network_itself(network: OpenVinoNetwork) -> None:
    engine = engine_around(Detector(network, THRESHOLD), EigenCam(network.levels))
    frames = [frame(picture) for picture in [*PICTURES, noise(64, 200)]]
    found = engine.explain(frames)
    engine.forget(frames[0].source)
    with network.in_float32():
        expected = engine.explain(frames)
    for own, other in zip(found, expected, strict=True):
        assert own.explanation.map == pytest.approx(other.explanation.map, abs=0.01)
        assert len(other.detections) > 0
        for wanted in other.detections:
            assert any(
                one.class_id == wanted.class_id
                and one.box == pytest.approx(wanted.box, abs=0.5)
                and one.confidence == pytest.approx(wanted.confidence, abs=1e-3)
                for one in own.detections
            )
    maps = [
        (own.explanation.map.ravel(), other.explanation.map.ravel())
        for own, other in zip(found, expected, strict=True)
        if other.explanation.map.any()
    ]
    assert maps
    assert min(np.corrcoef(*both)[0, 1] for both in maps) > 0.999


def test_outputs_of_a_batch_outlive_the_next_ones(network: OpenVinoNetwork) -> None:
    """The map of one batch is made while the next one is in the network."""
    detector = Detector(network, THRESHOLD)
    inputs = [detector.preprocess(detector.upload([noise(120, 180, seed)])) for seed in range(6)]
    forwards = [detector.forward(one) for one in inputs]
    copies = [{name: level.clone() for name, level in one.levels.items()} for one in forwards]
    del forwards
    gc.collect()
    for one, expected in zip(inputs, copies, strict=True):
        levels = detector.forward(one).levels
        assert all(torch.equal(levels[name], level) for name, level in expected.items())
