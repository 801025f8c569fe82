"""The overview imports none of the commands, without a difference to the user."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import streamcam as package
from streamcam.cli.app import PURPOSES, app, load
from tests.cli.conftest import Streamcam, environment

HEAVY = {
    *("torch", "torchvision", "pytorch_grad_cam", "numpy", "cv2", "av", "PIL", "pydantic"),
    *("fastapi", "starlette", "uvicorn", "anyio", "prometheus_client", "watchdog", "sqlite3"),
    *("streamcam.config", "streamcam.types", "streamcam.sources", "streamcam.vision"),
    *("streamcam.render", "streamcam.sinks", "streamcam.pipeline", "streamcam.jobs"),
    *("streamcam.service", "transformers", "huggingface_hub", "onnxruntime", "ultralytics"),
    *("openvino", "nncf"),
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "streamcam", "--help"],
        ["-m", "streamcam", "--version"],
        ["-c", "import streamcam"],
    ],
)
def test_the_overview_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = imported(*arguments)
    assert "streamcam" in loaded
    assert not loaded & HEAVY


def imported(*arguments: str) -> set[str]:
    """The modules that a run of Python imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("name", PURPOSES)
def test_the_overview_shows_the_first_line_of_each_help(name: str) -> None:
    purpose, *_ = str(getattr(load(name), "help", None)).split("\n\n")
    assert purpose == PURPOSES[name]


def test_the_overview_names_the_commands_in_their_order(streamcam: Streamcam) -> None:
    lines = [line.split() for line in streamcam("--help", COLUMNS="200").stdout.splitlines()]
    shown = [words[1] for words in lines if len(words) > 2 and words[1] in PURPOSES]
    assert shown == list(PURPOSES)


@pytest.mark.parametrize(
    ("words", "near"), [(["rnu"], "run"), (["confg", "show"], "config"), (["jobs", "lst"], "list")]
)
def test_a_mistyped_command_is_answered_with_a_near_one(
    streamcam: Streamcam, words: list[str], near: str
) -> None:
    answer = streamcam(*words)
    assert answer.returncode == 2
    assert f"Did you mean '{near}'?" in answer.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [("streamcam ", "watch"), ("streamcam jobs ", "retry"), ("streamcam run --", "--max-fps")],
)
def test_a_shell_completes_commands_and_what_follows_them(words: str, offered: str) -> None:
    place = str(len(words.split(" ")) - 1)
    asked = {"_STREAMCAM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": place}
    done = CliRunner().invoke(app, [], prog_name="streamcam", env=asked)
    assert offered in done.stdout.split()


def test_version(streamcam: Streamcam) -> None:
    assert streamcam("--version").stdout == f"streamcam {package.__version__}\n"
