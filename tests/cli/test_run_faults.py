"""`streamcam run` where the engine hangs, breaks or finds no room."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, environment

SCENE = "demo://street?seconds=2&fps=5&seed=3&width=320&height=180"

HANGING_ENGINE = """
import sys, time
from streamcam.pipeline import engine_provider
from tests.jobs.daemon import StubEngine

class Hanging(StubEngine):
    def forward(self, inputs):
        print("in the forward pass", file=sys.stderr, flush=True)
        time.sleep(600)

engine_provider.build_engine = lambda *_: Hanging()
"""

FORGETFUL_ENGINE = """
from streamcam.pipeline import engine_provider
from tests.jobs.daemon import StubEngine

class Forgetful(StubEngine):
    def forget(self, source):
        raise KeyError(source)

engine_provider.build_engine = lambda *_: Forgetful()
"""

NO_ROOM = """
import torch
from streamcam.vision.models.nano import NanoFamily

def network(*_):
    raise torch.OutOfMemoryError("CUDA out of memory")

NanoFamily.network = network
"""


def started(setup: str, output: Path) -> subprocess.Popen[str]:
    program = f"{setup}\nfrom streamcam.cli.app import main\nmain()\n"
    return subprocess.Popen(
        [sys.executable, "-c", program, "run", SCENE, "--output", str(output)],
        env=environment(PYTHONPATH=str(Path(__file__).parents[2])),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_interrupt_forces_although_the_forward_pass_hangs(tmp_path: Path) -> None:
    process = started(HANGING_ENGINE, tmp_path)
    assert process.stderr is not None
    assert any("in the forward pass" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert any("stopping" in line for line in process.stderr)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, errors
    assert time.monotonic() - asked < 30
    assert "forced" in errors
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("setup", "code", "message"),
    [
        (FORGETFUL_ENGINE, 70, "internal fault: KeyError"),
        (NO_ROOM, 70, "the GPU has no room for nano"),
    ],
)
def test_a_fault_of_the_engine_ends_the_run_with_a_message(
    tmp_path: Path, setup: str, code: int, message: str
) -> None:
    process = started(setup, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert message in errors
    assert "Traceback" not in errors
