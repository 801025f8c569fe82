"""A real server on a free port of this machine, and a finished job that was really run."""

import http.client
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import orjson
import pytest

from streamcam.config.schema import HttpSettings
from streamcam.demo.source import DemoSource
from streamcam.jobs.store import JobStore
from streamcam.service.http.server import HttpServer
from streamcam.service.metrics import Metrics
from streamcam.service.region_editor import RegionEditor
from tests.cli.conftest import command, environment
from tests.jobs.conftest import store  # noqa: F401 - a fixture here too
from tests.media import write_video
from tests.service.http.fake_status import NO_FILE, FakeStatus

PATIENCE = 20.0
TOKEN = "correct-horse-battery-staple"
RATE = 5


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Visitor:
    """Asks a server, with paths exactly as they are given."""

    def __init__(self, server: HttpServer) -> None:
        self.url = server.url
        self.port = urlsplit(server.url).port or 0

    def __call__(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            reply = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, reply, answer.read())
        finally:
            connection.close()


@pytest.fixture
def fake() -> FakeStatus:
    return FakeStatus()


Serve: TypeAlias = Callable[..., Visitor]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers, and stops them at the end."""
    servers: list[HttpServer] = []

    def start(
        fake: FakeStatus,
        *,
        metrics: Metrics | None = None,
        editor: RegionEditor = NO_FILE,
        **settings: Any,
    ) -> Visitor:
        chosen = HttpSettings(**{"port": 0, **settings})
        server = HttpServer(fake, metrics or Metrics(), chosen, editor)
        server.start()
        servers.append(server)
        return Visitor(server)

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@dataclass(frozen=True)
class FinishedJobs:
    """A watched folder after a real watcher explained it: a video, and a file that is none."""

    output: Path
    video: int
    broken: int


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedJobs:
    folder = tmp_path_factory.mktemp("finished")
    incoming, output = folder / "in", folder / "out"
    incoming.mkdir()
    street = DemoSource("demo://street?seed=3&width=320&height=180").scene
    write_video(incoming / "street.mp4", (street.picture(i / RATE) for i in range(40)), rate=RATE)
    (incoming / "broken.mp4").write_bytes(b"no video" * 100)
    words = command("watch", incoming, "--output", output, "--once", "--settle", 0.1, "--quiet")
    subprocess.run(words, env=environment(), check=False, timeout=180, capture_output=True)
    with closing(JobStore.open_existing(folder / "out.state")) as jobs_store:
        jobs = {job.path.name: job for job in jobs_store.jobs()}
    assert jobs["street.mp4"].state == "done", jobs["street.mp4"].error
    return FinishedJobs(output, jobs["street.mp4"].id, jobs["broken.mp4"].id)


@pytest.fixture
def fake_with_jobs(finished: FinishedJobs) -> Iterator[FakeStatus]:
    """A fake with the job store of the finished jobs."""
    with closing(JobStore.open_existing(finished.output.with_name("out.state"))) as jobs_store:
        yield FakeStatus(jobs_store)
