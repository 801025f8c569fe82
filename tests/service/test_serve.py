"""One running service, with cameras, a folder, a manager and the built-in detector."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import orjson
import pytest

from streamcam import schemas
from streamcam.demo.source import DemoSource
from tests.cli.conftest import command, environment
from tests.media import write_video
from tests.servers import rtsp
from tests.servers.rtsp import RtspServer, ServedStream
from tests.service.running import Manager, Service, segments, unfinished

PLAIN, SPECIAL = "s3cretPlain", "pa/ss:w@rd 9%é"
"""The second has to be encoded in a URL."""

FPS = 5.0
SEGMENT = 3.0
LIVE = f"""
[live]
max_fps = {FPS}
segment = "{SEGMENT}s"
read_timeout = "5s"
open_timeout = "5s"
[watch]
settle = "200ms"
[[folder]]
path = "{{folder}}/in"
"""
STREET = '[[camera]]\nname = "street"\nurl = "demo://street?width=320&height=180"\n'
BARS = '[[camera]]\nname = "bars"\nurl = "testsrc2=size=160x120:rate=10"\nformat = "lavfi"\n'


@dataclass
class Box:
    """A service in its surroundings."""

    service: Service
    manager: Manager
    door: RtspServer
    gate: RtspServer
    config: str

    def reload(self, config: str, http: str = "port = 0") -> str:
        """Have another configuration read; return what was logged meanwhile."""
        before = len(self.service.log)
        self.service.reload(config, http)
        return self.service.log[before:]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    rtsp.require()
    folder = tmp_path_factory.mktemp("box")
    stream = {"cam": ServedStream(rate=10)}
    with (
        RtspServer(stream, password=PLAIN) as door,
        RtspServer(stream, password=SPECIAL, scheme="basic") as gate,
        Manager(folder / "notify") as manager,
    ):
        config = LIVE.format(folder=folder) + STREET
        config += f'[[camera]]\nname = "door"\nurl = "{door.url(user="admin", password=PLAIN)}"\n'
        config += f'[[camera]]\nname = "gate"\nurl = "{gate.url(user="admin", password=SPECIAL)}"\n'
        words = ("--log-format", "json")
        with Service(folder, config, *words, NOTIFY_SOCKET=str(manager.path)) as service:
            service.until_ready()
            yield Box(service, manager, door, gate, config)


@pytest.fixture
def running(box: Box) -> Iterator[Box]:
    """The box, and afterwards as it was."""
    yield box
    if box.service.process.poll() is None:
        box.reload(box.config)
        box.service.until_ready()


def records_of(folder: Path) -> list[dict[str, Any]]:
    """Return all of a camera's records, those that are still being written too."""
    paths = [*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.part")]
    lines = [line for path in paths for line in path.read_bytes().splitlines(keepends=True)]
    records = [orjson.loads(line) for line in lines if line.endswith(b"\n")]
    return sorted(records, key=lambda record: int(record["frame"]))


def test_cameras_come_go_and_change_without_a_gap_in_the_others(running: Box) -> None:
    service, manager = running.service, running.manager
    street = service.output / "street"
    service.until(lambda: records_of(street))
    begun = records_of(street)[0]
    manifest = json.loads((street / "street.manifest.json").read_text())
    reloads, readies = manager.count("RELOADING=1"), manager.count("READY=1")

    running.reload(running.config + BARS)
    service.until(lambda: service.states().get("bars") == "live")
    service.until(lambda: service.cameras()["bars"]["explained_rate"] > 4)
    running.reload(running.config + BARS + "max_fps = 2.0\n")
    service.until(lambda: service.states().get("bars") == "live")
    service.until(lambda: 0 < service.cameras()["bars"]["explained_rate"] < 2.5)
    running.reload(running.config)
    assert set(service.states()) == {"street", "door", "gate"}
    assert service.ask("/api/cameras/bars").status == 404
    assert b'source="bars"' not in service.ask("/metrics").body

    # The messages to the manager: each reload with its time, and its end.
    assert manager.count("RELOADING=1") == reloads + 3
    assert manager.count("READY=1") == readies + 3
    stamped = [lines for lines in manager.said if "RELOADING=1" in lines]
    assert all(re.fullmatch(r"MONOTONIC_USEC=\d+", lines[1]) for lines in stamped)
    # What was removed is complete and plays.
    assert not unfinished(service.output / "bars")
    assert segments(service.output / "bars")
    # The other camera has noticed nothing: one connection, one clock, whole segments.
    service.until(lambda: len(list(street.rglob("*.mp4"))) >= 3)
    answer = service.cameras()["street"]
    assert (answer["state"], answer["reconnects"]) == ("live", 0)
    assert json.loads((street / "street.manifest.json").read_text()) == manifest
    records = records_of(street)
    assert records[0] == begun
    times = [record["time"] for record in records]
    assert max(b - a for a, b in pairwise(times)) < 10 / FPS
    begins = [segment.begin for segment in segments(street)]
    assert min(b - a for a, b in pairwise(begins)) > SEGMENT - 0.1


def test_a_bad_configuration_keeps_the_old_one(running: Box) -> None:
    service = running.service
    before = service.states()
    for bad, *reasons in (
        ("[live]\nmax_fps = -3\n", "live.max_fps: must be more than 0 and at most 1000, not -3"),
        ("[live]\nmax_fps = -3\nfps = 2\n", "2 settings cannot be used: ", ": live.fps: unk"),
        ("[live\n", "is not valid TOML"),
        ("", "names nothing to explain"),
    ):
        said = running.reload(bad)
        (text,) = [line["message"] for line in map(json.loads, said.splitlines())]
        assert text.startswith("the configuration stays as it was: ")
        assert all(reason in text for reason in reasons), text
        assert service.states() == before


def test_a_change_that_needs_a_restart_is_logged(running: Box) -> None:
    config = running.config + "[model]\nbatch = 2\n"
    said = running.reload(config, http="port = 0\nmax_clients = 7")
    assert "a change of [http] takes effect at the next start" in said
    assert "a change of model.batch takes effect at the next start" in said
    # And is no change of the cameras.
    assert "stopped" not in said


def test_a_camera_that_fails_is_reported_and_recovers(running: Box) -> None:
    service = running.service
    reconnects = service.cameras()["door"]["reconnects"]
    running.door.kill()
    service.until(lambda: service.states()["door"] == "backing off")
    ready = service.ask("/readyz")
    assert ready.status == 503
    (reason,) = ready.json["reasons"]
    # It is tried again and again.
    assert reason in ("camera door is backing off", "camera door is connecting")
    assert b'streamcam_source_up{source="door"} 0.0' in service.ask("/metrics").body
    assert service.ask("/healthz").status == 200
    service.until(lambda: "connection refused" in service.cameras()["door"]["error"])
    running.door.restart()
    service.until_ready()
    assert service.cameras()["door"]["reconnects"] == reconnects + 1
    text = f'streamcam_reconnects_total{{source="door"}} {reconnects + 1:.1f}'
    assert text in service.ask("/metrics").body.decode()
    assert service.states() == dict.fromkeys(("street", "door", "gate"), "live")


def test_a_file_is_explained_while_cameras_run(running: Box) -> None:
    service = running.service
    street = DemoSource("demo://street?seed=5&width=320&height=180").scene
    beside = service.incoming.with_name("clip.mp4")
    write_video(beside, (street.picture(i / 5) for i in range(60)), rate=5)
    beside.rename(service.incoming / "clip.mp4")
    seen: list[float] = []

    def done() -> bool:
        jobs = service.ask("/api/jobs").json["jobs"]
        assert len(jobs) <= 1, jobs
        (job,) = jobs or [{"state": "", "progress": None}]
        if job["progress"]:
            seen.append(job["progress"])
        return bool(job["state"] == "done")

    service.until(done)
    assert seen, "nobody saw it run"
    assert seen == sorted(seen)
    assert 0 < seen[0] < 1
    record, manifest = (
        jsonschema.Draft202012Validator(schemas.schema(name)) for name in ("record", "manifest")
    )
    lines = (service.output / "clip.detections.jsonl").read_text().splitlines()
    assert len(lines) == 60
    for line in lines:
        record.validate(json.loads(line))
    manifest.validate(json.loads((service.output / "clip.manifest.json").read_text()))
    table, answer = status(service), json.loads(status(service, "--json"))
    assert answer["jobs"]["done"] == 1
    assert [camera["name"] for camera in answer["cameras"]] == ["street", "door", "gate"]
    for word in ("street", "live", "320x180", "files: 1 done", "room for results:"):
        assert word in table


def status(service: Service, *words: str) -> str:
    done = subprocess.run(
        command("status", "--url", service.url, *words),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not done.stderr
    return done.stdout


def test_it_ends_with_all_files_complete_and_no_secret_logged(box: Box) -> None:
    service, manager = box.service, box.manager
    pages = [
        service.ask(path).body.decode()
        for path in (
            *("/", "/metrics", "/readyz", "/api/status", "/api/jobs", "/openapi.json"),
            *("/api/cameras/door", "/api/cameras/gate", "/api/cameras/gate/recordings"),
        )
    ]
    # A server that asks for another password makes every part of ours complain.
    box.gate.kill()
    service.until(lambda: service.states()["gate"] == "backing off")
    assert service.end() == 0
    assert ["STOPPING=1"] in manager.said
    assert not unfinished(service.output)
    for name in ("street", "door", "gate"):
        assert segments(service.output / name)
    written = [
        path.read_text() for path in service.output.rglob("*") if path.suffix in (".json", ".jsonl")
    ]
    assert len(written) > 5
    answer = [service.log, *pages, *written, *("\n".join(lines) for lines in manager.said)]
    for secret in (PLAIN, SPECIAL):
        forms = {secret, quote(secret), quote(secret, ""), json.dumps(secret)[1:-1]}
        for form in forms:
            assert not any(form in text for text in answer), form


def test_every_line_of_the_log_is_json_and_none_repeats_itself(box: Box) -> None:
    """After the service has ended."""
    assert box.service.process.poll() == 0
    lines = [json.loads(line) for line in box.service.log.splitlines()]
    levels = {logging.getLevelName(level).lower() for level in (10, 20, 30, 40, 50)}
    assert {line["level"] for line in lines} <= levels
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))
    tries = [line for line in lines if "door: backing off" in line["message"]]
    assert len(tries) <= 3
    assert sys.getsizeof(box.service.log) < 20_000
