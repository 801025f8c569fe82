"""The Ray cluster: the connection to it, and how many workers its nodes hold."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TextIO, cast

from streamcam.config.ray_schema import RaySettings
from streamcam.errors import ClusterError, UsageError
from streamcam.urls import redacted_url

_log = logging.getLogger(__name__)

LOCAL = "local"

_CLIENT = "ray://"

_REACH_SECONDS = 10.0

_OBJECT_STORE_BYTES = 100_000_000
"""Of the local cluster: only names and reports travel. Ray would take 30 % of the memory."""

_CPUS = 4.0
"""Cores of a worker without GPU: from there on one network's forward hardly gets faster, while two
workers do twice the work."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect this process to a Ray cluster; `LOCAL` starts one that ends with this process.

    A process that is connected already keeps its cluster.

    Raises:
        UsageError: Ray is not installed.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    _check_installed(address)
    # Ray tells its makers of each local cluster otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    _check_reachable(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    logging.getLogger("ray").setLevel(logging.ERROR)  # before it is configured
    try:
        ray.init(address, **options)
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        AssertionError,
        ray.exceptions.RayError,
    ) as e:
        raise _unreachable(address, e) from e
    try:
        with redirect_stdout(cast("TextIO", _WithoutRay(sys.stdout))):
            yield
    finally:
        ray.shutdown()


class _WithoutRay:
    """Standard output without what a thread of Ray's prints there on every lost worker.

    It is for results; that a worker was lost is told by the run.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            _log.debug("Ray: %s", text.strip())
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


def _check_installed(address: str) -> None:
    if find_spec("ray") is None:
        raise UsageError("--ray needs Ray", hint="pip install 'streamcam[ray]'")
    if address.startswith(_CLIENT) and find_spec("grpc") is None:
        raise UsageError(f"--ray {_CLIENT}... needs Ray's client", hint="pip install 'ray[client]'")


def _check_reachable(address: str) -> None:
    """Connect to an address for a moment: Ray itself would try for minutes, and fill stderr."""
    named = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    host, _, port = named.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> ClusterError:
    shown = address if address in (LOCAL, "auto") else redacted_url(address)
    known = error.strerror if isinstance(error, OSError) else None
    reason = (known or str(error)).strip().partition("\n")[0].rstrip(".")
    if address == "auto":
        hint = "Start one with `ray start --head`, or let --ray local use this machine alone."
    else:
        hint = "Is it running (`ray status`), with the same versions of Ray and Python?"
    return ClusterError(f"--ray {shown}: {reason}", hint=hint)


@dataclass(frozen=True, slots=True)
class WorkerShape:
    """What a worker takes of a node: CPU cores and GPUs, both possibly fractions."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else ""
        return f"{self.cpus:g} CPU{'s' if self.cpus != 1 else ''}{gpus}"

    def fit_on(self, node: Mapping[str, float]) -> int:
        """Return how many of them a node with these resources holds."""
        shares = [node.get("CPU", 0.0) / self.cpus]
        if self.gpus:
            shares.append(_whole_shares(node.get("GPU", 0.0), self.gpus))
        return int(min(shares))


def _whole_shares(gpus: float, each: float) -> float:
    """Return how many shares GPUs give: a share below 1 lies on one GPU."""
    return gpus * int(1 / each + 1e-9) if each < 1 else gpus / each


def node_resources() -> list[Mapping[str, float]]:
    """Return what each living node of the cluster has, used or not: "CPU", "GPU" and others."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def shape_of(
    settings: RaySettings, device: str, nodes: Sequence[Mapping[str, float]]
) -> WorkerShape:
    """Return what a worker takes, where the settings leave it open by what the nodes have.

    Args:
        settings: What the user asks for.
        device: The setting `model.device`.
        nodes: See `node_resources`.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0.0) > 0]
    gpus = settings.gpus_per_worker
    if gpus is None:
        wanted = device in ("auto", "all") or device.startswith("cuda")
        gpus = 1.0 if with_gpus and wanted else 0.0
    cpus = settings.cpus_per_worker
    if cpus is None and gpus and with_gpus:
        shares = (
            node.get("CPU", 0.0) // max(1.0, _whole_shares(node["GPU"], gpus)) for node in with_gpus
        )
        cpus = max(1.0, min(shares))
    if cpus is None:
        smallest = min((node["CPU"] for node in nodes if node.get("CPU")), default=_CPUS)
        cpus = min(_CPUS, smallest)
    return WorkerShape(cpus, gpus)


def places(nodes: Sequence[Mapping[str, float]], shape: WorkerShape) -> int:
    """Return how many workers the nodes hold."""
    return sum(shape.fit_on(node) for node in nodes)
