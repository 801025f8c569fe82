"""Rates of a distributed run."""

import pytest

from streamcam.distributed.cluster_progress import ClusterProgress, NodeRates, WindowedRate
from streamcam.types import Outcome


def test_a_rate_is_taken_over_the_last_half_minute() -> None:
    rate = WindowedRate()
    assert rate.per_second == 0
    for second in range(100):
        rate.add(second, 10 * second if second < 50 else 500 + 2 * (second - 50))
    assert rate.per_second == pytest.approx(2)


def test_a_node_adds_up_what_its_workers_tell() -> None:
    rates = NodeRates()
    for second in range(10):
        rates.add(second, frames=4, media_seconds=0.5)
        rates.add(second, frames=2, media_seconds=0.5)
    node = rates.progress("node", workers=2, sources=3)
    assert (node.name, node.workers, node.sources) == ("node", 2, 3)
    assert node.frame_rate == pytest.approx(6, rel=0.05)
    assert node.speed == pytest.approx(1, rel=0.06)


def test_the_whole_is_the_sum_of_the_nodes() -> None:
    nodes = (NodeRates().progress("a", 1, 1), NodeRates().progress("b", 1, 1))
    progress = ClusterProgress({Outcome.DONE: 3, Outcome.FAILED: 1}, 10, 0, nodes, None)
    assert progress.ended == 4
    assert progress.frame_rate == 0
