"""What every test may ask for, and what every test must leave behind: nothing."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.fixtures import rtsp_server as rtsp_server
from tests.servers.fixtures import s3 as s3
from tests.servers.fixtures import s3_server as s3_server

# OpenMP's threads would otherwise spin while they wait, which slows everything beside them down. It
# is read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TEST_DATA = os.environ.get("STREAMCAM_TEST_DATA", Path(__file__).parents[1] / "../shared/data")

GRACE = 2.0
"""Seconds that a test's threads get to end by themselves."""


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + GRACE
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, deadline - time.monotonic()))
    # Pools of libraries (tqdm's monitor, the executor behind asyncio) come as daemons and stay.
    leaked = [t for t in threading.enumerate() if t not in before and not t.daemon]
    daemons = [
        t for t in threading.enumerate() if t not in before and t.name.startswith("streamcam")
    ]
    assert not leaked + daemons, f"threads left running: {leaked + daemons}"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo the logging that commands set up when a test runs them in its own process."""
    loggers = [logging.getLogger(), logging.getLogger("streamcam")]
    before = [(one, one.level, one.propagate, list(one.handlers)) for one in loggers]
    yield
    for one, level, propagate, handlers in before:
        one.setLevel(level)
        one.propagate = propagate
        one.handlers[:] = handlers


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test media (videos/, odd/, photos/); tests using it carry `data`."""
    folder = Path(TEST_DATA).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real test media at {folder}; set STREAMCAM_TEST_DATA")
    return folder
