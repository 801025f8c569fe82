"""What a detector gets of a CPU's cores."""

import torch

from streamcam.vision.cpu import fills_a_cpu, threads_for
from streamcam.vision.devices import computing_threads
from tests.vision.scenes import MOBILENET, SSDLITE, detector, engine


def test_a_small_network_leaves_cores_to_the_rest() -> None:
    small, large = detector("nano"), detector(MOBILENET)
    shares = []
    for cores in (1, 2, 4, 8, 16):
        with computing_threads(cores):
            shares.append(threads_for(small))
            assert threads_for(large) == cores
    assert shares == [1, 1, 1, 2, 4]


def test_a_picture_of_a_million_pixels_fills_a_cpu() -> None:
    assert fills_a_cpu(detector("fasterrcnn_resnet50_fpn"))
    assert not any(fills_a_cpu(detector(name)) for name in ("nano", MOBILENET, SSDLITE))


def test_large_pictures_are_looked_at_one_by_one() -> None:
    with engine("nano", batch=6) as small, engine("fasterrcnn_resnet50_fpn", batch=6) as large:
        assert (small.batch, large.batch) == (6, 1)


def test_looking_has_its_own_threads_and_gives_them_back() -> None:
    with computing_threads(8), engine("nano") as small:
        with small.looking():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 8
