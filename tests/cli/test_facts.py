"""Commands that tell facts: doctor, models list, schema, version."""

import json
from pathlib import Path

import jsonschema
import pytest

import streamcam as package
from tests.cli.conftest import Streamcam


def test_doctor_prints_what_a_bug_report_needs(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["streamcam"]["version"] == package.__version__
    assert facts["packages"]["torch"][0].isdigit()
    assert "CUDA" in facts["device"]
    assert facts["video"]["libx264"] == "works"
    assert str(tmp_path) in facts["disk"]["output folder"]


def test_doctor_reports_a_broken_configuration_and_goes_on(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[modle]\n")
    done = streamcam("doctor", "--config", file)
    assert done.returncode == 0, done.stderr
    assert "modle: unknown" in done.stdout


def test_models_lists_every_detector(streamcam: Streamcam) -> None:
    cards = {
        card["name"]: card for card in json.loads(streamcam("models", "list", "--json").stdout)
    }
    assert {"nano", "fasterrcnn_resnet50_fpn_v2", "ssdlite320_mobilenet_v3_large"} <= set(cards)
    assert len(cards) == 13
    table = streamcam("models", "list").stdout
    assert all(name in table for name in cards)


@pytest.mark.parametrize("name", ["record", "manifest"])
def test_schema_prints_a_valid_schema(streamcam: Streamcam, name: str) -> None:
    schema = json.loads(streamcam("schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)


def test_unknown_schema_is_a_usage_error(streamcam: Streamcam) -> None:
    done = streamcam("schema", "recrod")
    assert done.returncode == 2
    assert "record, manifest" in done.stderr or "manifest, record" in done.stderr


def test_version(streamcam: Streamcam) -> None:
    assert streamcam("--version").stdout == f"streamcam {package.__version__}\n"
