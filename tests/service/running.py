"""`streamcam serve` as a process of its own, and all that can be seen of it from outside."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jsonschema
import orjson

from streamcam import schemas
from tests.cli.conftest import environment
from tests.processes import eventually
from tests.sinks.live import decoded

PATIENCE = 60.0
"""Seconds for what takes moments: the tests share two cores."""

_ROOT = Path(__file__).parents[2]


class Manager:
    """What systemd is to a service: listens to its notifications; a context manager.

    Args:
        path: Of its socket.

    Attributes:
        said: Every notification so far, as its lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[list[str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, name="manager")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()

    def count(self, line: str) -> int:
        """Return how often a line that begins so was said."""
        return sum(any(each.startswith(line) for each in lines) for lines in self.said.copy())

    def await_more(self, line: str, more: int = 1, within: float = PATIENCE) -> bool:
        """Wait until a line was said so many times more; tell whether it was."""
        wanted = self.count(line) + more
        return eventually(lambda: self.count(line) >= wanted, within)

    def _listen(self) -> None:
        while text := self._socket.recv(65536).decode():
            self.said.append(text.split("\n"))


@dataclass(frozen=True)
class ServiceAnswer:
    """What the service answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Service:
    """A running `streamcam serve`; a context manager, killed at its end if it still runs.

    Args:
        folder: Holds its configuration, results and log; what is there stays.
        config: The configuration but for `[output]` and `[http]`.
        words: More words of the command line.
        module: What is run with them.
        variables: More of the environment.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *words: str,
        module: str = "streamcam",
        **variables: str,
    ) -> None:
        self.config = folder / "config.toml"
        self.output = folder / "out"
        self.incoming = folder / "in"
        self.incoming.mkdir(exist_ok=True)
        self._log = folder / "log"
        self.write(config)
        command = [sys.executable, "-m", module, "serve", "--config", str(self.config), *words]
        self._file = self._log.open("wb")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            cwd=_ROOT,
            env=environment(OMP_WAIT_POLICY="PASSIVE", **variables),
        )
        self._port = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._file.close()

    def write(self, config: str, http: str = "port = 0") -> None:
        """Write the configuration."""
        text = f'[output]\nfolder = "{self.output}"\n[http]\n{http}\n{config}'
        self.config.write_text(text, encoding="utf-8")

    @property
    def log(self) -> str:
        """All that it has said so far, on stdout too."""
        return self._log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """Where its page is; waits until it is there."""
        if not self._port:
            found: list[str] = []
            assert eventually(lambda: found.extend(_ports(self.log)) or found, PATIENCE), self.log
            self._port = int(found[0])
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> ServiceAnswer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return ServiceAnswer(answer.status, answer.read())
        finally:
            connection.close()

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Return how the cameras are, by name."""
        return {camera["name"]: camera for camera in self.ask("/api/status").json["cameras"]}

    def states(self) -> dict[str, str]:
        return {name: camera["state"] for name, camera in self.cameras().items()}

    def until(self, condition: Callable[[], object], within: float = PATIENCE) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: The process has ended, or it took too long; with all that was said.
        """
        held = eventually(lambda: self.process.poll() is not None or condition(), within)
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
        assert held, self.log

    def until_ready(self) -> None:
        self.until(lambda: self.ask("/readyz").status == 200)

    def until_said(self, text: str, times: int = 1) -> None:
        """Wait until a text stands in the log so many times."""
        self.until(lambda: self.log.count(text) >= times)

    def reload(self, config: str, http: str = "port = 0") -> None:
        """Change the configuration and have it read again."""
        before = self.log
        answers = ("the configuration was read again", "the configuration stays as it was")
        self.write(config, http)
        self.process.send_signal(signal.SIGHUP)
        self.until(lambda: any(text in self.log[len(before) :] for text in answers))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _ports(log: str) -> Sequence[str]:
    return re.findall(r"the live page is at http://127\.0\.0\.1:(\d+)", log)


@dataclass(frozen=True)
class RecordedSegment:
    """A published segment of a camera: its path without an ending, and its records."""

    stem: Path
    records: Sequence[Mapping[str, Any]]

    @property
    def begin(self) -> float:
        """When its first frame was taken, in seconds of the camera's time."""
        time: float = self.records[0]["time"]
        return time


def segments(folder: Path) -> list[RecordedSegment]:
    """Read a camera's segments, the first first; each must be whole.

    Its records follow their schema, and its video shows one picture for each of them.
    """
    validator = jsonschema.Draft202012Validator(schemas.schema("record"))
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for record in records:
            validator.validate(record)
        begin = records[0]["time"]
        shown = [frame.time or 0.0 for frame in decoded(path.with_suffix(".mp4"))]
        wanted = [record["time"] - begin for record in records]
        assert len(shown) == len(wanted), path
        assert max(abs(a - b) for a, b in zip(shown, wanted, strict=True)) < 1e-3, path
        found.append(RecordedSegment(path.with_suffix(""), records))
    return sorted(found, key=lambda segment: str(segment.records[0]["time_utc"]))


def unfinished(folder: Path) -> list[Path]:
    """Return what is still being written below a folder, or was left behind."""
    return [
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.endswith(".part")
    ]
