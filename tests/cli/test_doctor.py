import json
from pathlib import Path

import streamcam as package
from tests.cli.conftest import Streamcam


def test_doctor_prints_what_a_bug_report_needs(streamcam: Streamcam, tmp_path: Path) -> None:
    done = streamcam("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["streamcam"]["version"] == package.__version__
    assert facts["packages"]["torch"][0].isdigit()
    assert "CUDA" in facts["device"]
    assert facts["packages"]["openvino"][0].isdigit()
    assert facts["device"]["intel:cpu"]
    speed = facts["nano on the CPU"]
    assert [name.split()[0] for name in speed] == ["torch", "OpenVINO", "OpenVINO"]
    assert speed["OpenVINO int8"].endswith(" x")
    assert all(" ms a picture, " in value for value in speed.values())
    assert facts["video"]["libx264"] == "works"
    assert str(tmp_path) in facts["disk"]["output folder"]


def test_doctor_reports_a_broken_configuration_and_goes_on(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[modle]\n")
    done = streamcam("doctor", "--config", file, COLUMNS="400")
    assert done.returncode == 0, done.stderr
    assert f"cannot be used: {file}, line 1: modle: unknown" in done.stdout
