"""The configuration file is replaced at once or not at all, and stays whose it was."""

import os
from pathlib import Path

import pytest

from streamcam.config.config_file import ConfigFile
from streamcam.errors import ConfigError, SinkError, UsageError

BEFORE, AFTER = "[live]\nmax_fps = 5\r\n", "[live]\nmax_fps = 2\r\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_bytes(BEFORE.encode())
    path.chmod(0o640)
    return path


def opened(path: Path | None) -> ConfigFile:
    return ConfigFile(path, {"STREAMCAM_LIVE_SEGMENT": "30s"}, {"output": {"folder": "/flag"}})


def test_settings_come_from_the_file_the_environment_and_the_flags(path: Path) -> None:
    file = opened(path)
    assert file.read() == BEFORE
    for settings, max_fps in ((file.load(), 5), (file.settings_of(AFTER), 2)):
        assert settings.live.max_fps == max_fps
        assert settings.live.segment == 30
        assert settings.output.folder == Path("/flag")
    with pytest.raises(ConfigError, match=r"config\.toml, line 2: live\.max_fps: must be"):
        file.settings_of("[live]\nmax_fps = -1\n")


def test_it_is_replaced_with_its_mode_and_owner(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    opened(path).replace(BEFORE, AFTER)
    after = path.stat()
    assert path.read_bytes() == AFTER.encode()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(path.name)
    opened(link).replace(BEFORE, AFTER)
    assert link.is_symlink()
    assert path.read_bytes() == AFTER.encode()


def test_what_an_earlier_attempt_left_behind_is_replaced(path: Path) -> None:
    path.with_name("config.toml.part").write_text("half of it")
    opened(path).replace(BEFORE, AFTER)
    assert path.read_bytes() == AFTER.encode()


def test_a_file_that_was_changed_meanwhile_is_left_alone(path: Path) -> None:
    path.write_text("# mine\n")
    with pytest.raises(UsageError, match="changed meanwhile"):
        opened(path).replace(BEFORE, AFTER)
    assert path.read_text() == "# mine\n"


def test_nothing_is_lost_when_it_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    # Of a file of another owner: this user may not give files away.
    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(SinkError, match="cannot be written: operation not permitted"):
        opened(path).replace(BEFORE, AFTER)
    assert path.read_bytes() == BEFORE.encode()
    assert len(list(path.parent.iterdir())) == 1


def test_a_file_that_may_not_be_written_is_told_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(path).check_writable()
    # The superuser may write everything, so the tests cannot take the right away.
    monkeypatch.setattr(os, "access", lambda place, _: place != path.parent)
    with pytest.raises(SinkError, match=f"may not write to {path.parent}"):
        opened(path).check_writable()


def test_a_file_of_another_user_is_left_to_him(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(SinkError, match="it belongs to another user"):
        opened(path).check_writable()


def test_without_a_file_there_is_nothing_to_change() -> None:
    file = opened(None)
    assert file.load().live.segment == 30
    with pytest.raises(UsageError, match="no configuration file"):
        file.check_writable()
