"""Fetching over real HTTP from a server on this machine, with its faults."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from streamcam.errors import ExitCode, WeightsError, WeightsUnavailableError
from streamcam.vision.models import download
from streamcam.vision.models import torchvision as family
from tests.vision.scenes import SSDLITE, build, module

CONTENT = bytes(range(256)) * 8192
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"some_detector-{DIGEST[:8]}.pth"


@dataclass
class Server:
    """Serves `content`; each entry of `faults` spoils one request."""

    url: str
    content: bytes = CONTENT
    faults: list[str] = field(default_factory=list)
    requests: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append(wanted)
            fault = state.faults.pop(0) if state.faults else ""
            if fault.isdigit():
                self.send_error(int(fault))
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == "slow":
                for piece in range(0, len(body), 1 << 17):
                    self.wfile.write(body[piece : piece + (1 << 17)])
                    released.wait(0.02)
                return
            self.wfile.write(body[: len(body) // 2] if fault in ("cut", "stall") else body)
            if fault == "stall":
                released.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}/{NAME}")
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield state
    released.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    return tmp_path / "checkpoints"


def test_a_file_is_fetched_once_checked_and_reported(server: Server, cache: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    path, digest = download.published_file(server.url, "some", lambda *args: told.append(args))
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    assert digest == DIGEST
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == (NAME, len(CONTENT), len(CONTENT))
    download.published_file(server.url, "some")
    assert len(server.requests) == 1
    assert [file.name for file in cache.iterdir()] == [NAME]


@pytest.mark.parametrize("fault", ["503", "429"])
def test_a_passing_fault_is_tried_again(server: Server, fault: str) -> None:
    server.faults = [fault, fault]
    path, _ = download.published_file(server.url, "some")
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_connection_that_is_cut_off_goes_on_where_it_ended(server: Server) -> None:
    server.faults = ["cut", "cut"]
    path, _ = download.published_file(server.url, "some")
    assert path.read_bytes() == CONTENT
    half, three_quarters = len(CONTENT) // 2, len(CONTENT) * 3 // 4
    assert server.requests == [None, f"bytes={half}-", f"bytes={three_quarters}-"]


def test_a_slow_server_is_waited_for(server: Server) -> None:
    server.faults = ["slow"]
    path, _ = download.published_file(server.url, "some")
    assert path.read_bytes() == CONTENT
    assert server.requests == [None]


def test_a_server_that_stalls_is_asked_again_for_the_rest(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.3)
    server.faults = ["stall"]
    path, _ = download.published_file(server.url, "some")
    assert path.read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_connection_that_is_always_cut_off_is_given_up(server: Server, cache: Path) -> None:
    server.faults = ["cut"] * 9
    with pytest.raises(WeightsUnavailableError, match="ended after"):
        download.published_file(server.url, "some")
    assert [file.name for file in cache.iterdir()] == [NAME + ".part"]


@pytest.mark.parametrize("left", [CONTENT, CONTENT[::-1]])
def test_a_whole_part_file_is_taken_if_it_is_right(
    server: Server, cache: Path, left: bytes
) -> None:
    """As a run that was killed just before the end leaves it."""
    cache.mkdir()
    (cache / (NAME + ".part")).write_bytes(left)
    path, _ = download.published_file(server.url, "some")
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == (1 if left == CONTENT else 2)


def test_a_missing_file_is_not_asked_for_again(server: Server, cache: Path) -> None:
    server.faults = ["404"]
    with pytest.raises(WeightsUnavailableError) as caught:
        download.published_file(server.url, "some_detector")
    assert len(server.requests) == 1
    check_help(caught.value, server.url, cache)


def check_help(error: WeightsUnavailableError, url: str, cache: Path) -> None:
    """The error says which file to put where, and what needs none."""
    assert error.exit_code == ExitCode.UNAVAILABLE
    assert "some_detector" in error.message
    assert error.hint is not None
    assert url in error.hint
    assert str(cache) in error.hint
    assert "nano" in error.hint


def test_a_wrong_checksum_leaves_nothing(server: Server, cache: Path) -> None:
    server.content = CONTENT[::-1]
    with pytest.raises(WeightsUnavailableError, match="checksum"):
        download.published_file(server.url, "some")
    assert list(cache.iterdir()) == []


def test_no_server_at_all(cache: Path) -> None:
    url = f"http://127.0.0.1:1/{NAME}"
    with pytest.raises(WeightsUnavailableError) as caught:
        download.published_file(url, "some_detector")
    check_help(caught.value, url, cache)


def test_a_damaged_file_in_the_cache_is_named(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        download.published_file(server.url, "some")


def test_an_engine_is_built_from_what_was_fetched(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, with weights of our own in the place of the published ones."""
    file = tmp_path / "weights.pth"
    torch.save(module(SSDLITE).state_dict(), file)
    server.content = file.read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    url = server.url.replace(NAME, f"ssdlite-{digest[:8]}.pth")
    meta = family._published(SSDLITE).meta
    published = SimpleNamespace(url=url, meta=meta)
    monkeypatch.setattr(family, "_published", lambda _: published)
    with build(name=SSDLITE, precision="fp32") as engine:
        assert engine.description.weights == f"ssdlite-{digest[:8]}.pth"
        assert engine.description.weights_sha256 == digest
        assert engine.description.classes[1] == "person"
    assert (cache / f"ssdlite-{digest[:8]}.pth").is_file()


def test_two_processes_fetch_a_file_once(server: Server, cache: Path) -> None:
    server.faults = ["slow"]
    code = (
        "import sys, torch\n"
        "from streamcam.vision.models.download import published_file\n"
        "torch.hub._hub_dir = sys.argv[2]\n"
        "print(published_file(sys.argv[1], 'some'))\n"
    )
    words = [sys.executable, "-c", code, server.url, str(cache.parent)]
    processes = [subprocess.Popen(words) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert server.requests == [None]
    assert [path.name for path in cache.iterdir()] == [NAME]
