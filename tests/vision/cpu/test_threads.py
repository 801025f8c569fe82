"""What a detector gets of a CPU's cores."""

import threading
from typing import Any

import pytest
import torch

from streamcam.vision.cpu import threads as cpu
from streamcam.vision.cpu.threads import fills_a_cpu, threads_for
from streamcam.vision.devices import computing_threads, torch_threads
from tests.vision.scenes import MOBILENET, SSDLITE, detector, engine, frame, noise


@pytest.mark.parametrize(("cores", "share"), [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4)])
def test_a_small_network_leaves_cores_to_the_rest(
    monkeypatch: pytest.MonkeyPatch, cores: int, share: int
) -> None:
    monkeypatch.setattr(cpu, "torch_threads", lambda: cores)
    assert threads_for(detector("nano")) == share
    assert threads_for(detector(MOBILENET)) == cores


def test_what_others_compute_with_is_not_taken_for_all_there_is() -> None:
    """torch gives a thread that is new what another one has told it."""
    everything, large = torch_threads(), detector(MOBILENET)
    told: list[int] = []
    with computing_threads(everything + 1):
        fresh = threading.Thread(
            target=lambda: told.extend((torch.get_num_threads(), threads_for(large)))
        )
        fresh.start()
        fresh.join()
    assert told == [everything + 1, everything]


def test_results_are_made_with_all_threads_in_a_thread_that_was_told_of_fewer() -> None:
    with engine(MOBILENET, min_size=96, max_size=160) as large:
        told: list[int] = []
        make = large.cam

        def watched(*given: Any) -> Any:
            told.append(torch.get_num_threads())
            return make(*given)

        large._cam = watched  # type: ignore[assignment]
        outputs = large.forward(large.preprocess([frame(noise(96, 160))]))
        assert not told, "the maps belong to the last step"
        with computing_threads(torch_threads() + 1):
            other = threading.Thread(target=large.postprocess, args=(outputs,))
            other.start()
            other.join()
    assert told == [torch_threads()]


def test_a_picture_of_a_million_pixels_fills_a_cpu() -> None:
    assert fills_a_cpu(detector("fasterrcnn_resnet50_fpn"))
    assert not any(fills_a_cpu(detector(name)) for name in ("nano", MOBILENET, SSDLITE))


def test_large_pictures_are_looked_at_one_by_one() -> None:
    with engine("nano", batch=6) as small, engine("fasterrcnn_resnet50_fpn", batch=6) as large:
        assert (small.batch, large.batch) == (6, 1)


def test_looking_has_its_own_threads_and_gives_them_back() -> None:
    with engine("nano") as small, computing_threads(8):
        with small.looking():
            assert torch.get_num_threads() == threads_for(small.detector) < 8
        assert torch.get_num_threads() == 8
