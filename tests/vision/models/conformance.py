"""What every detector family keeps, whatever its networks are made of: tests to inherit."""

import numpy as np
import torch
from torch import Tensor

from streamcam.vision.cam.eigencam import EigenCam
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.network import Levels, Network
from tests.vision.scenes import engine_around, frame, grey, noise, with_patch

PICTURES = [with_patch(grey(120, 180), 60, 30, 60), noise(90, 60)]

THRESHOLD = 0.005


class NetworkConformance:
    """Tests for a subclass in a module whose fixture `network` gives the network."""

    def test_levels_are_where_they_are_said_to_be(self, network: Network) -> None:
        """The canvas is covered by the cells, in the order and the strides that are told."""
        inputs = Detector(network, THRESHOLD).preprocess(
            [torch.from_numpy(picture).permute(2, 0, 1) for picture in PICTURES]
        )
        with torch.inference_mode():
            _, levels = network.forward(inputs.canvas, inputs.placements)
        height, width = inputs.canvas.shape[2:]
        assert {network.levels.fine, network.levels.pool} <= set(levels)
        for name, level in levels.items():
            assert level.ndim == 4
            assert level.shape[0] == len(PICTURES)
            stride_y, stride_x = network.levels.strides.get(name, (None, None))
            if stride_y is not None and stride_x is not None:
                assert level.shape[2] == -(-height // int(stride_y))
                assert level.shape[3] == -(-width // int(stride_x))

    def test_features_are_those_of_the_forward_pass(self, network: Network) -> None:
        canvas, placement = Detector(network, THRESHOLD).canvas(PICTURES[0])
        with torch.inference_mode():
            _, levels = network.forward(canvas, [placement])
            alone = network.features(canvas)
        assert list(alone) == list(levels)
        assert all(torch.equal(alone[name], level) for name, level in levels.items())

    def test_detections_lie_in_the_picture_and_above_the_threshold(self, network: Network) -> None:
        forward = Detector(network, THRESHOLD)(PICTURES)
        assert len(forward.detections) == len(PICTURES)
        for picture, own in zip(PICTURES, forward.detections, strict=True):
            height, width = picture.shape[:2]
            assert own.boxes.shape == (len(own.scores), 4)
            assert len(own.class_ids) == len(own.scores) > 0
            assert bool((own.scores > THRESHOLD).all() and (own.scores <= 1).all())
            assert bool((own.scores.diff() <= 0).all()), "falling"
            assert bool((own.boxes[:, 2:] >= own.boxes[:, :2]).all())
            assert float(own.boxes.min()) >= -1e-3
            assert bool((own.boxes <= torch.tensor([width, height] * 2) + 1e-2).all())

    def test_pictures_of_any_shape_are_explained(self, network: Network) -> None:
        """The short side of a picture of one column stays a pixel long when it is resized."""
        engine = engine_around(Detector(network, THRESHOLD), EigenCam(network.levels))
        results = engine.explain([frame(noise(*size)) for size in ((1, 1), (1, 3000), (3000, 1))])
        for result in results:
            height, width = result.frame.picture.shape[:2]
            assert bool(np.isfinite(result.explanation.map).all())
            for detection in result.detections:
                x1, y1, x2, y2 = detection.box
                assert 0 <= x1 <= x2 <= width
                assert 0 <= y1 <= y2 <= height

    def test_a_picture_has_the_same_detections_alone_and_in_a_batch(self, network: Network) -> None:
        detector = Detector(network, THRESHOLD)
        together = detector([PICTURES[0], PICTURES[0]]).detections
        (alone,) = detector([PICTURES[0]]).detections
        for own in together:
            assert torch.allclose(own.scores, alone.scores, atol=1e-4)

    def test_the_outputs_follow_from_the_levels(self, network: Network) -> None:
        """What gradient and perturbation methods rely on, where a network offers it."""
        assert network.replayable
        detector = Detector(network, THRESHOLD)
        canvas, placement = detector.canvas(PICTURES[0])
        with torch.inference_mode():
            raw, levels = network.forward(canvas, [placement])
            (expected,) = network.decode(raw, [placement], THRESHOLD)
            copies = {name: level.float().clone() for name, level in levels.items()}
            replayed = network.from_levels(copies, [placement])
            (found,) = network.decode(replayed, [placement], THRESHOLD)
        assert torch.equal(found.boxes, expected.boxes)
        assert torch.equal(found.scores, expected.scores)

    def test_gradients_reach_the_levels(self, network: Network) -> None:
        assert network.differentiable
        detector = Detector(network, THRESHOLD)
        canvas, placement = detector.canvas(PICTURES[0])
        with torch.inference_mode():
            _, levels = network.forward(canvas, [placement])
        leaves = {name: level.clone().float().requires_grad_() for name, level in copied(levels)}
        (found,) = detector.detect_from_levels(leaves, [placement], THRESHOLD)
        found.scores[0].backward()
        gradients = [leaf.grad for leaf in leaves.values() if leaf.grad is not None]
        assert any(float(gradient.abs().max()) > 0 for gradient in gradients)


def copied(levels: Levels) -> list[tuple[str, Tensor]]:
    """The levels as ordinary tensors: those of inference mode take no part in a backward pass."""
    return [(name, torch.from_numpy(level.numpy().copy())) for name, level in levels.items()]
