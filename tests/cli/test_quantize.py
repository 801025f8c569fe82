"""`streamcam models quantize` as a user runs it: the figures, the model, and clear refusals."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from tests.cli.conftest import Streamcam

SCENE = "demo://street?seconds=2&seed=1&width=512&height=288"
QUANTIZE = ["models", "quantize", "nano", "--footage", SCENE, "--imgsz", "320"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantize")
    path = folder / "config.toml"
    path.write_text(f'[model]\nlibrary = "{folder / "models"}"\n', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def done(streamcam: Streamcam, config: Path) -> subprocess.CompletedProcess[str]:
    return streamcam(*QUANTIZE, "--name", "quick", "--config", config)


def test_the_figures_are_told_and_nothing_else(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"calibrated on \d+ frames", lines[0])
    assert re.fullmatch(r"compared on \d+ others, with \d+ confident boxes", lines[1])
    assert re.fullmatch(r"boxes found again \d+\.\d%", lines[2])
    assert re.fullmatch(r"boxes of int8 that the float model has \d+\.\d%", lines[3])
    assert re.fullmatch(
        r"correlation of the maps mean [01]\.\d+, 5th percentile [01]\.\d+", lines[4]
    )
    assert re.fullmatch(r"forward pass .* ms before, .* ms in int8 \(\d+\.\d+x\)", lines[5])
    assert lines[6:] == ["kept as quick: --model quick"]
    assert all(re.match(r"\d+ %: [a-z]", line) for line in done.stderr.splitlines())


def test_the_model_is_listed_verified_and_run(
    done: subprocess.CompletedProcess[str], streamcam: Streamcam, config: Path, tmp_path: Path
) -> None:
    del done
    cards = json.loads(streamcam("models", "list", "--json", "--config", config).stdout)
    (card,) = [card for card in cards if card["name"] == "quick"]
    assert (card["origin"], card["present"]) == ("int8 of nano", True)
    assert streamcam("models", "verify", "quick", "--config", config).returncode == 0
    run = ["run", SCENE, "--model", "quick", "--imgsz", "320", "--max-fps", "2"]
    ran = streamcam(*run, "--output", tmp_path, "--config", config)
    assert ran.returncode == 0, ran.stderr
    (path,) = tmp_path.glob("*.manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(manifest)
    lineage = manifest["engine"]["quantization"]
    model = json.loads((config.parent / "models" / "quick" / "model.json").read_text())
    assert lineage == model["quantized"]["lineage"]
    assert lineage["source"]["model"] == "nano"
    assert manifest["engine"]["weights_sha256"] == model["quantized"]["sha256"]
    assert manifest["settings"]["model"]["precision"] == "int8"
    records = [
        json.loads(line)
        for line in (tmp_path / path.name.replace("manifest.json", "detections.jsonl"))
        .read_text()
        .splitlines()
    ]
    assert sum(len(record["detections"]) for record in records) > 0


def test_what_agrees_too_little_leaves_nothing(streamcam: Streamcam, tmp_path: Path) -> None:
    own = tmp_path / "config.toml"
    own.write_text(f'[model]\nlibrary = "{tmp_path / "models"}"\n', encoding="utf-8")
    refused = streamcam(*QUANTIZE, "--confidence", "0.99", "--json", "--config", own)
    assert refused.returncode == 1
    values = json.loads(refused.stdout)
    assert values["folder"] is None
    assert values["agreement"]["float_boxes"] == 0
    error = refused.stderr.splitlines()[-2:]
    assert error[0].startswith("error: nano-int8 was not kept: the float model is sure of no box")
    assert "--force" in error[1]
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nano", "--footage", "missing.mp4"], 69, "missing.mp4: no such file"),
        (["nano", "--footage", "demo://street?seconds=0.5"], 1, "needs 24 or more"),
        (["nano"], 2, "--footage"),
    ],
)
def test_wrong_input_is_told(
    streamcam: Streamcam, config: Path, arguments: list[str], code: int, message: str
) -> None:
    done = streamcam("models", "quantize", *arguments, "--config", config)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
