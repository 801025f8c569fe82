from pathlib import Path
from typing import get_args

import pytest

from streamcam.config import Settings, load_settings
from streamcam.config.toml import to_toml
from streamcam.errors import ConfigError, ExitCode

SHIPPED = Path(__file__).parents[2] / "config.toml"


def test_shipped_file_equals_the_built_in_defaults() -> None:
    assert load_settings(SHIPPED) == Settings()


def test_shipped_file_is_what_the_settings_generate() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == to_toml(Settings())


def test_every_setting_has_a_description_and_stands_in_the_shipped_file() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    for section, table in Settings.model_fields.items():
        kind = next(iter(get_args(table.annotation)), table.annotation)
        if section == "sinks":
            assert "[sinks.NAME]" in text, "a table is validated by the sink's own settings"
            continue
        fields = kind.model_fields
        assert f"[{section}]" in text
        for key, field in fields.items():
            assert field.description, f"{section}.{key} has no description"
            assert f"{key} = " in text


def test_flag_wins_over_environment_wins_over_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[sampling]\nmax_fps = 1\nevery = 7\nstart = 3\n")
    settings = load_settings(
        file,
        {"STREAMCAM_SAMPLING_MAX_FPS": "2", "STREAMCAM_SAMPLING_EVERY": "8", "HOME": "/"},
        {"sampling": {"max_fps": 4.0, "every": None}},
    )
    assert settings.sampling.max_fps == 4.0
    assert settings.sampling.every == 8
    assert settings.sampling.start == 3.0


def test_lists_may_come_from_the_environment() -> None:
    settings = load_settings(environment={"STREAMCAM_MODEL_CLASSES": "person, dog"})
    assert settings.model.classes == ("person", "dog")


def test_one_message_lists_every_fault_with_its_dotted_name(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[sampling]\nmax_fsp = 2\n[modle]\nname = 'x'\n[render]\nopacity = 1.5\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {"STREAMCAM_OUTPUT_WORKERS": "none"})
    message = caught.value.message
    assert 'sampling.max_fsp: unknown, did you mean "max_fps"?' in message
    assert 'modle: unknown, did you mean "model"?' in message
    assert "render.opacity: must be less than or equal to 1, not 1.5" in message
    assert "output.workers:" in message
    assert str(file) in (caught.value.hint or "")
    assert caught.value.exit_code is ExitCode.CONFIG


def test_end_must_lie_after_start() -> None:
    with pytest.raises(ConfigError, match=r"sampling: end \(2 s\) must lie after start \(5 s\)"):
        load_settings(flags={"sampling": {"start": 5.0, "end": 2.0}})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[sampling\n", "not valid TOML"), (b"\xff\xfe\x00", "not a text file")],
)
def test_unreadable_content_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_settings(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file"):
        load_settings(tmp_path / "absent.toml")


def test_settings_survive_being_written_and_read(tmp_path: Path) -> None:
    settings = load_settings(
        flags={
            "model": {"weights": 'odd "name".pth', "classes": ("person", "собака")},
            "sampling": {"every": 3, "end": 9.5},
            "output": {"folder": Path("out dir"), "audio": False},
        }
    )
    file = tmp_path / "config.toml"
    file.write_text(to_toml(settings), encoding="utf-8")
    assert load_settings(file) == settings
