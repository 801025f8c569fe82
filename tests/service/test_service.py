"""A service around an engine that tests can hold up: starts, faults and ends, without torch."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import Manager, Service, segments, unfinished

BARS = '[[camera]]\nname = "bars"\nurl = "testsrc2=size=64x48:rate=20"\nformat = "lavfi"\n'
DEAD = '[[camera]]\nname = "dead"\nurl = "rtsp://127.0.0.1:9/cam"\n'
FOLDER = '[[folder]]\npath = "{folder}/in"\n'


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path / "notify") as manager:
        yield manager


def start(folder: Path, config: str, **variables: str) -> Service:
    (folder / "in").mkdir(exist_ok=True)
    config = config.format(folder=folder)
    return Service(folder, config, module="tests.service.stuck", STUCK=str(folder), **variables)


def test_it_is_ready_once_the_engine_is_and_watched_over_while_work_gets_done(
    tmp_path: Path, manager: Manager
) -> None:
    loading, hanging = tmp_path / "load", tmp_path / "hang"
    loading.touch()
    variables = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
    with start(tmp_path, BARS + DEAD + FOLDER, **variables) as service:
        service.until(lambda: service.ask("/readyz").json["reasons"])
        assert "the detectors are being loaded" in service.ask("/readyz").json["reasons"]
        # Loading may take as long as it likes: nothing is stuck.
        assert manager.await_more("WATCHDOG=1", 6)
        assert manager.count("READY=1") == 0
        loading.unlink()
        service.until(lambda: service.states() == {"bars": "live", "dead": "backing off"})
        service.until(lambda: manager.count("READY=1") == 1)
        # A dead camera and an idle folder are no work: for longer than the patience all is well.
        assert manager.await_more("WATCHDOG=1", 6)
        assert service.ask("/healthz").status == 200
        (reason,) = service.ask("/readyz").json["reasons"]
        assert reason.startswith("camera dead is "), reason
        assert manager.await_more("STATUS=2 cameras: 1 live, 1 ")

        hanging.touch()
        service.until(lambda: service.ask("/healthz").status == 503)
        assert "the engine has work but finished none for" in service.log
        fed = manager.count("WATCHDOG=1")
        # The status is still reported, so the watchdog is left hungry on purpose.
        assert manager.await_more("STATUS=", 1)
        assert manager.count("WATCHDOG=1") == fed

        hanging.unlink()
        service.until(lambda: service.ask("/healthz").status == 200)
        assert manager.await_more("WATCHDOG=1")
        assert service.end() == 0
    # READY is sent once and first; the end is reported.
    order = [line.partition("=")[0] for lines in manager.said for line in lines]
    assert order.index("READY") < order.index("STOPPING")
    assert ["STOPPING=1"] in manager.said


def test_an_idle_service_is_well(tmp_path: Path, manager: Manager) -> None:
    variables = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "500000"}
    with start(tmp_path, FOLDER, **variables) as service:
        service.until_ready()
        assert manager.await_more("WATCHDOG=1", 10)
        assert service.ask("/healthz").status == 200
        assert service.end(signal.SIGINT) == 0


def test_what_hangs_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    with start(tmp_path, BARS, WATCHDOG_USEC="1000000") as service:
        service.until_ready()
        (tmp_path / "hang").touch()
        service.until(lambda: service.ask("/healthz").status == 503)
        assert service.end() == 0
    assert "bars: does not end and was left behind" in service.log


def test_a_killed_service_loses_no_segment(tmp_path: Path) -> None:
    config = f"[live]\nsegment = '2s'\nmax_fps = 10\n{BARS}"
    with start(tmp_path, config) as service:
        folder = service.output / "bars"
        service.until(lambda: len(list(folder.rglob("*.mp4"))) >= 1)
        # In mid-segment, with pictures in it that could be lost.
        service.until(lambda: any(_size(part) > 4000 for part in unfinished(folder)))
        service.kill()
    left = unfinished(folder)
    assert {path.suffixes[0] for path in left} == {".mp4", ".jsonl"}
    with start(tmp_path, config) as service:
        service.until(lambda: not set(left) & set(unfinished(folder)))
        service.until(lambda: service.states() == {"bars": "live"})
        assert service.end() == 0
    assert not unfinished(folder)
    found = segments(folder)
    for path in left:
        assert path.with_suffix("").exists(), f"{path} was not finished"
    assert len(found) >= 3


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
