"""What workers take of a cluster's nodes, and how a cluster is found."""

import importlib.util

import pytest

from streamcam.config.ray_schema import RaySettings
from streamcam.distributed.cluster import WorkerShape, connected, places, shape_of
from streamcam.errors import ClusterError, UsageError

CPU_NODE = {"CPU": 16.0, "memory": 1e10}
GPU_NODE = {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("settings", "device", "nodes", "shape", "count"),
    [
        ({}, "auto", [CPU_NODE], WorkerShape(4, 0), 4),
        ({}, "auto", [{"CPU": 2.0}], WorkerShape(2, 0), 1),
        ({}, "auto", [GPU_NODE, CPU_NODE], WorkerShape(8, 1), 4),
        ({}, "cpu", [GPU_NODE, CPU_NODE], WorkerShape(4, 0), 12),
        ({"gpus_per_worker": 0.5}, "auto", [GPU_NODE, GPU_NODE], WorkerShape(4, 0.5), 16),
        ({"gpus_per_worker": 0.4}, "auto", [GPU_NODE], WorkerShape(4, 0.4), 8),
        ({"gpus_per_worker": 2, "cpus_per_worker": 20}, "auto", [GPU_NODE], WorkerShape(20, 2), 1),
        ({}, "cuda:0", [GPU_NODE, {"CPU": 2.0, "GPU": 4.0}], WorkerShape(1, 1), 6),
        ({"gpus_per_worker": 1}, "auto", [CPU_NODE], WorkerShape(4, 1), 0),
        ({}, "auto", [], WorkerShape(4, 0), 0),
    ],
)
def test_workers_share_what_nodes_have(
    settings: dict[str, float],
    device: str,
    nodes: list[dict[str, float]],
    shape: WorkerShape,
    count: int,
) -> None:
    found = shape_of(RaySettings.model_validate(settings), device, nodes)
    assert found == shape
    assert places(nodes, found) == count


def test_shapes_are_told_in_words() -> None:
    assert str(WorkerShape(1, 0)) == "1 CPU"
    assert str(WorkerShape(8, 0.5)) == "8 CPUs and 0.5 GPU"
    assert str(WorkerShape(8, 2)) == "8 CPUs and 2 GPUs"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamcam.distributed.cluster.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--ray needs Ray") as caught, connected("local"):
        pass
    assert caught.value.hint == "pip install 'streamcam[ray]'"


@pytest.mark.skipif(importlib.util.find_spec("grpc") is not None, reason="Ray's client is here")
def test_without_rays_client_it_is_named() -> None:
    with pytest.raises(UsageError) as caught, connected("ray://127.0.0.1:10001"):
        pass
    assert caught.value.hint == "pip install 'ray[client]'"


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9"])
def test_no_cluster_is_an_error_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    message = f"--ray {address}: Connection refused"
    with pytest.raises(ClusterError, match=message) as caught, connected(address):
        pass
    assert ("ray start --head" if address == "auto" else "ray status") in (caught.value.hint or "")
