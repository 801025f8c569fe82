"""Everything that may end in a distributed run ends, at random, while an archive is explained.

    python -m benchmarks.ray_chaos                          # 500 clips and a long one, 20 ends
    python -m benchmarks.ray_chaos --clips 60 --ends 8      # minutes
    python -m benchmarks.ray_chaos --storage local          # a shared folder instead of S3

A cluster of two nodes, each of several processes, explains the archive; meanwhile workers and the
driver are killed (-9; it is begun anew with the same command), nodes are lost, and the way to the
S3 server is cut. Then nothing may be lost, doubled or half-written, and the results must be those
of a plain `streamcam run`, byte for byte. Prints what was ended, and a verdict; exits with 1 if it
is bad.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.archive_clips import draw_archive
from benchmarks.processes import children
from tests.servers.s3 import S3Server
from tests.servers.tcp import Door

NODES = 2
_OUTAGE_SECONDS = 4.0
_SHOWN = 20
# Results are the same bytes only if the network's sums are made in the same order.
SAME_SUMS = ("--batch", "1", "--workers", "1", "--device", "cpu")


class Chaos:
    """A cluster, a driver and a store, all of which can be ended."""

    def __init__(
        self, options: argparse.Namespace, folder: Path, files: list[Path], stack: ExitStack
    ) -> None:
        self.folder = folder
        self.ends: Counter[str] = Counter()
        self.drivers = 0
        self._random = random.Random(options.seed)  # noqa: S311 - the same again
        self._server: S3Server | None = None
        self._door: Door | None = None
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "STREAMCAM_RAY_RETRY_DELAY": "1s"}
        self.source, self.output = str(folder / "in"), str(folder / "out")
        if options.storage == "s3":
            self._server = stack.enter_context(S3Server())
            self._door = stack.enter_context(Door(self._server.port))
            self._door.open = True
            environment |= self._server.environment(self._door.port)
            self.source, self.output = self._server.url("in/"), self._server.url("out/")
            for file in files:
                self._server.put(f"in/{file.name}", file)
        os.environ.update(environment)
        self.cluster = stack.enter_context(_cluster())
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(NODES)]
        self.driver = self.start_driver()
        stack.callback(lambda: self.driver.kill())

    def start_driver(self) -> subprocess.Popen[bytes]:
        self.drivers += 1
        command = [sys.executable, "-m", "streamcam", "run", self.source, "--output", self.output]
        command += ["--ray", self.cluster.address, "--cpus-per-worker", "1", *SAME_SUMS, "--json"]
        log = (self.folder / f"driver{self.drivers}.log").open("wb")
        out = (self.folder / f"driver{self.drivers}.json").open("wb")
        return subprocess.Popen(command, stdout=out, stderr=log)

    def end_something(self) -> str | None:
        """End something; return what, None where there was nothing of the kind."""
        kinds: dict[str, Callable[[], bool]] = {
            "worker": self._end_worker,
            "node": self._end_node,
            "driver": self._end_driver,
        }
        if self._door is not None:
            kinds["way to the store"] = self._interrupt_store
        # Workers come first to an end in the field too; each kind has its turn.
        rarest = min(kinds, key=lambda name: self.ends[name])
        kind = self._random.choice([rarest, "worker", *kinds])
        if not kinds[kind]():
            return None
        self.ends[kind] += 1
        return kind

    def _end_worker(self) -> bool:
        found = [pid for node in self.nodes for pid in _workers(node)]
        if not found:
            return False
        os.kill(self._random.choice(found), signal.SIGKILL)
        return True

    def _end_node(self) -> bool:
        node = self.nodes.pop(self._random.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self.cluster.add_node(num_cpus=1))
        return True

    def _end_driver(self) -> bool:
        self.driver.kill()
        self.driver.wait()
        self.driver = self.start_driver()
        return True

    def _interrupt_store(self) -> bool:
        assert self._door is not None
        self._door.open = False
        self._door.cut()
        time.sleep(_OUTAGE_SECONDS)
        self._door.open = True
        return True

    def results(self) -> dict[str, bytes]:
        """Return all that is in the output but the folders of runs, by name."""
        folder = self.folder / "out"
        if self._server is not None:
            self._server.download("out/", folder)
        found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
        runs = {name for name in found if name.startswith("runs/")}
        return {
            n: path.read_bytes() for n, path in found.items() if path.is_file() and n not in runs
        }

    def commits(self) -> Counter[str]:
        """Count how often each source's manifest was written; empty for a folder."""
        if self._server is None:
            return Counter()
        written = self._server.requests("PUT", ".manifest.json")
        return Counter(Path(one.path).name for one in written if one.status == 200)

    def left_behind(self) -> list[str]:
        return [] if self._server is None else list(self._server.unfinished_uploads())


@contextmanager
def _cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def _workers(node: Any) -> list[int]:  # noqa: ANN401 - of Ray's tests
    raylets = [info.process.pid for info in node.all_processes.get("raylet", ())]
    found = [child for raylet in raylets for child in children(raylet)]
    return [pid for pid in found if "ray::ExplainWorker" in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="ray-chaos-") as name, ExitStack() as stack:
        folder = Path(name)
        files = draw_archive(folder / "in", options.clips, options.frames, options.long_frames)
        expected = _plain_run(folder)
        begun = time.monotonic()
        chaos = Chaos(options, folder, files, stack)
        _end_things(chaos, options)
        code = _finish(chaos)
        print(f"{sum(chaos.ends.values())} ends: {dict(chaos.ends)}; {chaos.drivers} drivers")
        print(f"{len(files)} sources in {time.monotonic() - begun:.0f} s; exit code {code}")
        faults = [f"the last driver ended with {code}"] if code else []
        # Records name their sources, which only lie elsewhere.
        here, there = str(folder / "in"), chaos.source.rstrip("/")
        named = {
            name: made.replace(here.encode(), there.encode()) for name, made in expected.items()
        }
        faults += _faults(chaos, named, files)
        if sum(chaos.ends.values()) < options.ends:
            faults.append("the archive was done before everything had been ended: more clips")
        for fault in faults[:_SHOWN]:
            print(f"  {fault}")
    print("verdict: bad" if faults else "verdict: good, nothing lost, doubled or half-written")
    sys.exit(1 if faults else 0)


def _plain_run(folder: Path) -> dict[str, bytes]:
    command = [sys.executable, "-m", "streamcam", "run", str(folder / "in"), "--quiet"]
    command += ["--output", str(folder / "plain"), *SAME_SUMS]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return {path.name: path.read_bytes() for path in (folder / "plain").iterdir()}


def _end_things(chaos: Chaos, options: argparse.Namespace) -> None:
    pauses = random.Random(options.seed)  # noqa: S311 - the same again
    time.sleep(options.pause)
    while sum(chaos.ends.values()) < options.ends and chaos.driver.poll() is None:
        if (kind := chaos.end_something()) is not None:
            print(f"ended a {kind}", flush=True)
        time.sleep(pauses.uniform(0.5, 1.5) * options.pause)


def _finish(chaos: Chaos) -> int:
    """Wait for the driver; begin one anew as a person would, where it gave up."""
    for _ in range(3):
        code = chaos.driver.wait()
        if code == 0:
            break
        print(f"driver {chaos.drivers} ended with {code}; the same command again", flush=True)
        chaos.driver = chaos.start_driver()
    return chaos.driver.wait()


def _faults(chaos: Chaos, expected: dict[str, bytes], files: list[Path]) -> Iterator[str]:
    found = chaos.results()
    yield from (f"lost: {name}" for name in sorted(expected.keys() - found.keys()))
    yield from (f"too much: {name}" for name in sorted(found.keys() - expected.keys()))
    yield from (f"left behind: {upload}" for upload in chaos.left_behind())
    for name in sorted(found.keys() & expected.keys()):
        if name.endswith(".manifest.json"):
            yield from _manifest_faults(name, found[name], expected[name])
        elif found[name] != expected[name]:
            yield f"differs from a plain run's: {name}"
    commits = chaos.commits()
    yield from (f"committed {n} times: {name}" for name, n in commits.items() if n > 1)
    if commits and len(commits) != len(files):
        yield f"{len(commits)} commits of {len(files)} sources"


def _manifest_faults(name: str, found: bytes, expected: bytes) -> Iterator[str]:
    ours, plain = json.loads(found), json.loads(expected)
    if ours["outcome"] != "done":
        yield f"{name}: {ours['outcome']}"
    if ours["counts"] != plain["counts"] or ours["engine"]["key"] != plain["engine"]["key"]:
        yield f"{name}: other counts, or another engine key"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--frames", type=int, default=10, help="of a clip")
    parser.add_argument("--long-frames", type=int, default=1500)
    parser.add_argument("--ends", type=int, default=20, help="how often something is ended")
    parser.add_argument("--pause", type=float, default=12.0, help="seconds between two ends")
    parser.add_argument("--storage", choices=("s3", "local"), default="s3")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
