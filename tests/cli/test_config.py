import json
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import jsonschema
import pytest

from streamcam.config.camera_schema import CameraSettings
from streamcam.vision.models import names
from tests.cli.conftest import Streamcam

SHIPPED = Path(__file__).parents[2] / "config.toml"


def test_show_prints_the_shipped_file(streamcam: Streamcam) -> None:
    shown = streamcam("config", "show")
    assert shown.returncode == 0
    assert shown.stdout == SHIPPED.read_text(encoding="utf-8")


def test_show_prints_the_merged_settings(streamcam: Streamcam, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[sampling]\nmax_fps = 2\n")
    shown = streamcam("config", "show", "--config", file, STREAMCAM_OUTPUT_VIDEO="full")
    settings = tomllib.loads(shown.stdout)
    assert settings["sampling"]["max_fps"] == 2
    assert settings["output"]["video"] == "full"


def test_check_passes_the_shipped_file(streamcam: Streamcam) -> None:
    checked = streamcam("config", "check", SHIPPED)
    assert checked.returncode == 0
    assert "is good" in checked.stdout


def test_check_lists_every_fault_and_exits_78(streamcam: Streamcam, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[model]\nbatch = 0\nnmae = 'x'\n[typo]\n")
    checked = streamcam("config", "check", file)
    assert checked.returncode == 78
    for fault in ("model.batch: must be", "model.nmae: unknown", "typo: unknown"):
        assert fault in checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[model]\nname = ", "model.name"),
        ("[[camera]]\nname='a'\nurl='x'\nmodel = ", "camera.0.model"),
    ],
)
def test_check_refuses_a_detector_that_does_not_exist(
    streamcam: Streamcam, tmp_path: Path, table: str, key: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(f"{table}'ssdlite320_mobilenet_v3'\n")
    checked = streamcam("config", "check", file)
    assert checked.returncode == 78
    assert f"{key}: there is no detector named 'ssdlite320_mobilenet_v3'" in checked.stderr
    assert "ssdlite320_mobilenet_v3_large" in checked.stderr


def test_check_knows_imported_models(streamcam: Streamcam, tmp_path: Path) -> None:
    (tmp_path / "library" / "mine").mkdir(parents=True)
    (tmp_path / "library" / "mine" / "model.json").write_text("{}")
    file = tmp_path / "good.toml"
    file.write_text(f"[model]\nname = 'mine'\nlibrary = '{tmp_path / 'library'}'\n")
    assert streamcam("config", "check", file).returncode == 0


def test_installed_families_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "my_package.detectors:MyFamily", names.ENTRY_POINTS)
    monkeypatch.setattr(names, "entry_points", lambda **_: [entry])
    assert names.is_known("mine")
    assert names.is_known("mine:large")
    assert not names.is_known("other:large")


def test_every_example_of_a_detector_exists() -> None:
    (example,) = CameraSettings.model_fields["model"].examples or ()
    assert example in names.known_names()


def test_a_bad_variable_is_named(streamcam: Streamcam) -> None:
    shown = streamcam("config", "show", STREAMCAM_SAMPLING_MAX_FPS="fast")
    assert shown.returncode == 78
    assert "STREAMCAM_SAMPLING_MAX_FPS" in shown.stderr


def test_schema_describes_every_section(streamcam: Streamcam) -> None:
    schema = json.loads(streamcam("config", "schema").stdout)
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    tables = {"camera", "folder", "sinks", "webhook"}  # as comments only
    assert set(schema["properties"]) == set(shipped) | tables


@pytest.mark.parametrize("name", ["record", "manifest"])
def test_schema_prints_a_valid_schema(streamcam: Streamcam, name: str) -> None:
    schema = json.loads(streamcam("schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)


def test_unknown_schema_is_a_usage_error(streamcam: Streamcam) -> None:
    done = streamcam("schema", "xyz")
    assert done.returncode == 2
    known = "audit, baseline, compare, event, event_message, exported_frame, manifest, record, run"
    assert f"Known: {known}." in done.stderr
