import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamcam.service.health import Notifier, ProgressMonitor
from tests.clocks import ManualClock

TIMEOUT = 60.0
CHECK = 15.0
"""Seconds between two checks."""


@dataclass
class FakeEngine:
    busy: bool = False
    finished: int = 0


class FakeService:
    """An engine and a loop whose state the test sets."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.last_iteration = self.clock.now
        self.loop_hangs = False
        self.engine = FakeEngine()
        self.monitor = ProgressMonitor(
            [self.engine], lambda: self.last_iteration, timeout=TIMEOUT, clock=self.clock
        )

    def check(self, *, done: int = 0) -> str | None:
        """Let time pass to the next check."""
        self.clock.now += CHECK
        if not self.loop_hangs:
            self.last_iteration = self.clock.now
        self.engine.finished += done
        return self.monitor.fault()

    def checks(self, count: int, *, done: int = 0) -> list[str | None]:
        return [self.check(done=done) for _ in range(count)]


def test_idle_folders_and_dead_cameras_are_healthy_for_ever() -> None:
    assert set(FakeService().checks(1000)) == {None}


def test_an_engine_that_finishes_batches_is_healthy_however_much_waits() -> None:
    service = FakeService()
    service.engine.busy = True
    assert set(service.checks(1000, done=1)) == {None}


def test_an_engine_stuck_with_work_is_not() -> None:
    service = FakeService()
    service.checks(10)
    service.engine.busy = True
    assert service.checks(5) == [
        *[None] * 4,
        "the engine has work but finished none for 75 s",
    ]


def test_a_long_idleness_does_not_count_against_new_work() -> None:
    service = FakeService()
    service.checks(100)
    service.engine.busy = True
    assert service.check() is None


def test_slow_batches_within_the_timeout_are_healthy() -> None:
    service = FakeService()
    service.engine.busy = True
    assert set(service.checks(3) + service.checks(1, done=1) + service.checks(3)) == {None}


def test_a_stuck_engine_that_recovers_is_healthy_again() -> None:
    service = FakeService()
    service.engine.busy = True
    assert service.checks(10)[-1] is not None
    assert service.check(done=1) is None


@pytest.mark.parametrize("busy", [False, True])
def test_a_stuck_loop_is_not_healthy_even_while_the_engine_works(busy: bool) -> None:
    service = FakeService()
    service.engine.busy = busy
    service.checks(10, done=1)
    service.loop_hangs = True
    assert service.checks(4, done=1) == [None] * 4
    assert service.check(done=1) == "the supervisor has stood still for 75 s"


def test_an_engine_is_checked_while_the_loop_is_stuck() -> None:
    service = FakeService()
    service.loop_hangs = True
    service.checks(20)
    service.loop_hangs = False
    service.engine.busy = True
    assert service.check() is None


class NotifySocket:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(address.replace("@", "\0", 1))

    def received(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def heard_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    name = f"streamcam-test-{os.getpid()}"
    found = NotifySocket(str(tmp_path / "notify") if request.param == "path" else f"@{name}")
    with found.socket:
        yield found


@pytest.fixture
def notifier(manager: NotifySocket) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.address})


def test_each_message_is_one_datagram_of_lines(manager: NotifySocket, notifier: Notifier) -> None:
    notifier.ready("2 cameras")
    assert manager.received() == ["READY=1", "STATUS=2 cameras"]
    notifier.status("3 cameras, 1 of them silent")
    assert manager.received() == ["STATUS=3 cameras, 1 of them silent"]
    notifier.watchdog()
    assert manager.received() == ["WATCHDOG=1"]
    notifier.extend_timeout(1.5)
    assert manager.received() == ["EXTEND_TIMEOUT_USEC=1500000"]
    notifier.stopping()
    assert manager.received() == ["STOPPING=1"]


def test_a_reload_is_stamped_with_the_monotonic_time(
    manager: NotifySocket, notifier: Notifier
) -> None:
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    after = time.monotonic_ns() // 1000
    first, second = manager.received()
    name, _, stamp = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before - 1 <= int(stamp) <= after


def test_a_status_cannot_contain_another_message(manager: NotifySocket, notifier: Notifier) -> None:
    notifier.status("camera\nWATCHDOG=1\n  is é \x1b[31m\udce9")
    assert manager.received() == [r"STATUS=camera WATCHDOG=1 is é \x1b[31m\udce9"]


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_nothing_is_sent_without_a_valid_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    listener = NotifySocket("relative")
    with listener.socket:
        Notifier.from_environment({"NOTIFY_SOCKET": address}).ready("fine")
        Notifier.from_environment({}).ready("fine")
        assert listener.heard_nothing()


def test_a_manager_that_has_ended_is_no_fault(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).ready("fine")


def test_a_manager_that_does_not_read_is_not_waited_for_for_ever(
    manager: NotifySocket, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.service.health._SEND_SECONDS", 0.05)
    flood = threading.Thread(
        target=lambda: [notifier.watchdog() for _ in range(20 + _queue_length())], daemon=True
    )
    flood.start()
    flood.join(30)
    assert not flood.is_alive()
    assert manager.received() == ["WATCHDOG=1"]


def _queue_length() -> int:
    return int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    environment: dict[str, str], interval: float | None
) -> None:
    assert Notifier.from_environment(environment).watchdog_interval == interval
