"""`streamcam live` as a user would run it: the built-in detector, and a stub where it says so."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import jsonschema
import orjson
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam, environment
from tests.processes import eventually
from tests.servers.client import picture
from tests.servers.faulty import GarbageServer, SilentServer
from tests.servers.fixtures import StartRtsp
from tests.servers.rtsp import ServedStream
from tests.service.running import segments, unfinished
from tests.sinks.live import decoded

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
BARS = ("testsrc2=size=160x120:rate=20", "--format", "lavfi")
BLACK = ("color=black:size=160x120:rate=20", "--format", "lavfi", "--name", "night")


class Live:
    """`streamcam live` as a process of its own, around an engine that costs nothing.

    Args:
        folder: Its working folder.
        words: Its command line.
        variables: More of the environment.
    """

    def __init__(self, folder: Path, *words: object, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.stuck", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment(STUCK=str(folder), PYTHONPATH=str(ROOT), **variables),
        )

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for its end, after a signal where one is given; return its code and words."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


StartLive: TypeAlias = Callable[..., Live]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[StartLive]:
    """Starts it; what still runs at the end is killed."""
    started: list[Live] = []

    def start(*words: object, debug: bool = False, **variables: str) -> Live:
        flags = ["--debug"] if debug else []
        started.append(Live(tmp_path, *flags, "live", *words, **variables))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def test_records_are_printed_and_recorded(streamcam: Streamcam, tmp_path: Path) -> None:
    source = "demo://street?width=320&height=180"
    options = ("--duration", 4, "--segment", 2, "--max-fps", 5, "--json")
    done = streamcam("live", source, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    printed = [orjson.loads(line) for line in done.stdout.splitlines()]
    validator = jsonschema.Draft202012Validator(schemas.schema("record"))
    for record in printed:
        validator.validate(record)
        assert record["time_utc"].endswith("Z")
        assert record["last_frame_age"] == 0
    assert any(record["detections"] for record in printed)
    folder = tmp_path / "streamcam-output" / "street"
    found = segments(folder)
    assert len(found) >= 2
    assert [record for segment in found for record in segment.records] == printed
    assert not unfinished(folder)
    manifest = orjson.loads((folder / "street.manifest.json").read_bytes())
    jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(manifest)
    assert manifest["counts"]["explained"] == len(printed)
    assert "frames explained" in done.stderr
    assert "results in streamcam-output/street" in done.stderr


def test_only_detections_are_recorded(streamcam: Streamcam, tmp_path: Path) -> None:
    options = ("--duration", 5, "--record", "detections", "--json")
    done = streamcam("live", *BLACK, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 3
    (manifest,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert manifest.name == "night.manifest.json"


def test_a_source_that_cannot_be_read_ends_it(live: StartLive, rtsp_server: StartRtsp) -> None:
    # Other answers come at once, and the garbage ends by itself.
    short = {"STREAMCAM_LIVE_OPEN_TIMEOUT": "3s", "STREAMCAM_LIVE_READ_TIMEOUT": "3s"}
    with ExitStack() as stack:
        silent = stack.enter_context(SilentServer())
        noise = stack.enter_context(GarbageServer("noise"))
        mpegts = stack.enter_context(GarbageServer("mpegts", seconds=2))
        sources = {
            "rtsp://127.0.0.1:9/cam": "connection refused",
            rtsp_server().url("absent"): "there is no such stream",
            silent.url(): "did not answer for 3 s",
            noise.url(): "",
            mpegts.url("http"): "",
            "/dev/video77": "there is no such",
        }
        limits = {silent.url(): short, noise.url(): short}
        runs = {live(url, **limits.get(url, {})): text for url, text in sources.items()}
        ends = {each: each.end() for each in runs}
    for each, text in runs.items():
        code, out, err = ends[each]
        assert (code, out) == (69, ""), err
        assert text in err.lower()
        assert err.count("error: ") == 1
        assert len(err.splitlines()) <= 2
        assert "Traceback" not in err


def test_a_source_that_sends_nothing_within_the_duration(live: StartLive) -> None:
    """Only who asks for the end is content with nothing."""
    with SilentServer() as server:
        short = live(server.url(), "--duration", "0.5", "--name", "door")
        code, out, err = short.end()
        assert (code, out) == (69, "")
        assert "error: door: no picture came before the end of --duration\n" in err
        stopped = live(server.url(), "--name", "door")
        assert eventually(lambda: server.accepted == 2, PATIENCE)
        code, out, err = stopped.end(signal.SIGINT)
    assert (code, out) == (0, "")
    assert "error" not in err


def test_with_reconnect_it_goes_on(live: StartLive, rtsp_server: StartRtsp) -> None:
    server = rtsp_server({"cam": ServedStream(rate=20)})
    running = live(server.url(), "--reconnect", "--json", "--record", "never", "--name", "door")
    assert running.process.stdout is not None
    first = orjson.loads(running.process.stdout.readline())
    server.restart()
    restarted = False
    while not restarted:
        record = orjson.loads(running.process.stdout.readline())
        restarted = record["time"] - first["time"] > 0.2 and record["frame"] > first["frame"] + 20
    code, _, err = running.end(signal.SIGTERM)
    assert code == 0, err
    assert "door: backing off: " in err
    assert "reconnected once" in err


def test_the_annotated_stream_is_published(
    live: StartLive, tmp_path: Path, rtsp_server: StartRtsp
) -> None:
    server = rtsp_server({}, publish=["out"])
    options = ("--publish", server.url("out"), "--record", "never", "--max-fps", 20)
    running = live(*BARS, *options)
    kept = server.published("out")
    assert eventually(lambda: kept.exists() and kept.stat().st_size > 50_000, PATIENCE)
    code, _, err = running.end(signal.SIGINT)
    assert code == 0, err
    shown = decoded(kept)
    assert (shown[0].width, shown[0].height) == (160, 120)
    # Colour bars, with the stub's heat on them.
    assert picture(shown[-1]).std() > 30
    assert not (tmp_path / "streamcam-output").exists()


def test_a_camera_of_the_configuration_is_known_by_name(live: StartLive, tmp_path: Path) -> None:
    text = f'[[camera]]\nname = "yard"\nurl = "{BARS[0]}"\nformat = "lavfi"\nmax_fps = 2.0\n'
    (tmp_path / "c.toml").write_text(f'[output]\nfolder = "there"\n{text}')
    code, out, err = live("yard", "--config", "c.toml", "--duration", 3, "--json").end()
    assert code == 0, err
    times = [orjson.loads(line)["time"] for line in out.splitlines()]
    assert min(b - a for a, b in pairwise(times)) > 0.45
    (segment,) = segments(tmp_path / "there" / "yard")
    assert len(segment.records) == len(times)


def test_a_reader_that_leaves_ends_it_quietly(live: StartLive, tmp_path: Path) -> None:
    running = live(*BARS, "--json")
    assert running.process.stdout is not None
    assert running.process.stdout.readline()
    running.process.stdout.close()
    running.process.stdout = None
    code, _, err = running.end()
    assert code == 0
    assert "error" not in err
    assert "Broken pipe" not in err
    assert segments(tmp_path / "streamcam-output" / "testsrc2")
    assert not unfinished(tmp_path)


def test_ctrl_c_completes_the_segment(live: StartLive, tmp_path: Path) -> None:
    running = live(*BARS, "--name", "bars", "--segment", 3600)
    folder = tmp_path / "streamcam-output" / "bars"
    assert eventually(lambda: any(p.suffix == ".part" for p in folder.rglob("*")), PATIENCE)
    code, _, err = running.end(signal.SIGINT)
    assert code == 0, err
    assert "bars: live: testsrc2=size=160x120:rate=20, " in err
    assert "stopping: the recording is completed" in err
    assert len(segments(folder)) == 1
    assert not unfinished(folder)


def test_a_terminal_shows_a_table_that_moves(tmp_path: Path) -> None:
    upper, lower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.service.stuck", "live", *BARS, "--duration", "2"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=lower,
        cwd=tmp_path,
        env=environment(STUCK=str(tmp_path), PYTHONPATH=str(ROOT), TERM="xterm"),
    )
    os.close(lower)
    said = b""
    while data := _read(upper):
        said += data
    os.close(upper)
    assert process.wait(PATIENCE) == 0, said
    for text in (b"latency", b"testsrc2", b"1 person", b"Ctrl-C ends it", b"results in"):
        assert text in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody writes to it any more
        return b""


def test_debugging_shows_ffmpeg_messages_without_secrets(
    live: StartLive, rtsp_server: StartRtsp
) -> None:
    server = rtsp_server(password="tops3cret")
    for password, code in (("tops3cret", 0), ("wr0ng s3cret", 69)):
        url = server.url(user="admin", password=password)
        ended, _, err = live(url, "--duration", 3, "--record", "never", debug=True).end()
        assert ended == code, err
        assert "s3cret" not in err
        assert "rtsp" in err.lower()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["demo://street", "--option", "x"], 2, "--option x: an option is KEY=VALUE"),
        (["demo://street", "--record", "now"], 2, "--record: must be always"),
        (["demo://street", "--publish", "ftp://x"], 2, "--publish: "),
        (["demo://street", "--name", "../up"], 2, "--name: must be up to 64"),
        (["demo://street", "--name", "files"], 2, "is the name of the files of watched folders"),
        (["demo://street", "--segment", "0"], 2, "--segment: must be 1s to 1h"),
        (["demo://street", "--weights", "none.pth"], 69, "none.pth"),
    ],
)
def test_usage_errors(
    streamcam: Streamcam, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    done = streamcam("live", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
