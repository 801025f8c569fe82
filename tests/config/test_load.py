from pathlib import Path
from typing import get_args

import pytest

from streamcam.config import Settings, load_settings
from streamcam.config.toml import to_toml
from streamcam.errors import ConfigError, ExitCode, UsageError

SHIPPED = Path(__file__).parents[2] / "config.toml"


def test_shipped_file_equals_the_built_in_defaults() -> None:
    assert load_settings(SHIPPED) == Settings()


def test_shipped_file_is_what_the_settings_generate() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert text == to_toml(Settings()), "run `make config`"


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


@pytest.mark.parametrize(
    ("written", "devices", "several"),
    [
        ('"cuda:1"', ("cuda:1",), False),
        ('["cuda:0", "cuda:1"]', ("cuda:0", "cuda:1"), True),
        ("[0, 1]", ("cuda:0", "cuda:1"), True),
        ('"cpu, cpu"', ("cpu", "cpu"), True),
        ('"all"', ("all",), True),
        ('["intel:gpu:0", "intel:gpu:1"]', ("intel:gpu", "intel:gpu:1"), True),
    ],
)
def test_one_device_or_several(
    tmp_path: Path, written: str, devices: tuple[str, ...], several: bool
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[model]\ndevice = {written}\n")
    model = load_settings(file).model
    assert (model.devices, model.several_devices) == (devices, several)


@pytest.mark.parametrize("written", ['["all", "cpu"]', '"auto,cpu"', "[]", '"cpu,"', "true"])
def test_what_is_no_list_of_devices_is_refused(tmp_path: Path, written: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[model]\ndevice = {written}\n")
    with pytest.raises(ConfigError, match=r"model\.device: must be"):
        load_settings(file)


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
    assert caught.value.message == "4 settings cannot be used"
    message = "\n".join(caught.value.details)
    assert 'sampling.max_fsp: unknown, did you mean "max_fps"?' in message
    assert 'modle: unknown, did you mean "model"?' in message
    assert f"{file}, line 6: render.opacity: must be 0 to 1, not 1.5" in message
    assert "STREAMCAM_OUTPUT_WORKERS: must be a whole number, not 'none'" in message
    assert caught.value.exit_code is ExitCode.CONFIG


def test_numbers_without_a_unit_are_read_as_before_with_a_warning_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        "[watch]\nsettle = 3\nmin_free = 500\n[retention]\nmax_age = 7\nmin_free = 1000000\n"
        "[model]\nmax_wait = 0\n"
    )
    settings = load_settings(file, {"STREAMCAM_LIVE_SEGMENT": "30"})
    assert settings.watch.settle == 3
    assert settings.watch.min_free == 500_000_000
    assert settings.retention.max_age == 7 * 86400
    assert settings.retention.min_free == 1_000_000
    assert settings.live.segment == 30
    assert settings.model.max_wait == 0
    shown = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert sorted(shown) == [
        *("live.segment", "retention.max_age", "retention.min_free"),
        *("watch.min_free", "watch.settle"),
    ]
    assert 'watch.min_free: write "500MB":' in caplog.text


def test_quantities_with_units_are_read_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[watch]\nsettle = '250ms'\nmin_free = '2GB'\n[retention]\nmax_age = '7d'\n")
    settings = load_settings(file, {"STREAMCAM_SAMPLING_END": "2m"})
    assert (settings.watch.settle, settings.watch.min_free) == (0.25, 2 * 10**9)
    assert (settings.retention.max_age, settings.sampling.end) == (7 * 86400, 120)
    assert not caplog.records


def test_variables_of_the_development_environment_are_no_settings() -> None:
    assert load_settings(environment={"STREAMCAM_TEST_DATA": "/data"}) == Settings()


def test_end_must_lie_after_start() -> None:
    with pytest.raises(UsageError, match=r"^--end: must lie after the start \(5 s\), not at 2 s"):
        load_settings(flags={"sampling": {"start": 5.0, "end": 2.0}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[sampling\n", "not valid TOML"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"[sampling]\nevery = 3\n\n[sampling]\n", r"twice \(at line 4, column 10\)"),
        (b"[sampling]\nevery = " + b"9" * 5000, r"a number that is too long \(at line 2\)"),
        (b"#\n\nx = " + b"[" * 5000, r"is nested too deeply \(at line 3\)"),
        (b"x = " + b"{a=" * 5000, r"is nested too deeply \(at line 1\)"),
        (b"[sampling]\nevery = 0x" + b"f" * 5000, "every: .*, not a number of more than 64 bits"),
        (b"[sampling]\nstart = " + b"9" * 4000, "start: .*, not a number of more than 64 bits"),
        (b"[sampling]\nstart = 1e9999", "start: must be a duration such as .*, not inf"),
        (b"[sampling]\nevery = '" + b"9" * 300 + b"x'", r"every: .*, not '9{78}…$"),
    ],
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
