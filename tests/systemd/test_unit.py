"""The service's files, judged by systemd's own tools."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "systemd"
# `systemd-analyze security --offline --json` came with it.
OLDEST = 250
# Later ones may know of exposures that nobody has thought about here.
NEWEST = 257

Tree = dict[str, tuple[int, bytes]]


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "SYSTEMD_LOG_LEVEL": "notice", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make(target: str, destination: Path, **variables: object) -> str:
    settings = [f"{name}={value}" for name, value in variables.items()]
    done = run("make", "--no-print-directory", target, f"DESTDIR={destination}", *settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(folder: Path) -> Tree:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        missing("no systemd-analyze: the service's unit is NOT CHECKED")
    if version() < OLDEST:
        missing(f"systemd-analyze is older than {OLDEST}: the service's unit is NOT CHECKED")
    return str(found)


def version() -> int:
    said = run("systemd-analyze", "--version").stdout
    return int(said.split()[1])


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The installed unit, whose commands are there."""
    prefix = tmp_path / "streamcam"
    command = prefix / "bin" / "streamcam"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    make("install-service", tmp_path / "root", PREFIX=prefix)
    return tmp_path / "root" / "usr" / "lib" / "systemd" / "system" / "streamcam.service"


def test_the_unit_is_clean(analyze: str, unit: Path) -> None:
    done = run(analyze, "verify", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_mistake_in_the_unit_would_be_found(analyze: str, unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=often"))
    assert "Failed to parse sec value, ignoring: often" in run(analyze, "verify", unit).stderr


def test_the_unit_is_hardened(analyze: str, unit: Path) -> None:
    done = run(analyze, "security", "--offline=true", "--threshold=20", unit)
    level = re.search(r"exposure level for streamcam.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= 2.0, done.stdout
    assert done.returncode == 0


def test_each_exposure_has_its_reason(analyze: str, unit: Path) -> None:
    if version() > NEWEST:
        pytest.skip(f"the exposures that systemd after {NEWEST} sees are not explained yet")
    done = run(analyze, "security", "--offline=true", "--json=short", unit)
    exposed = {check["name"] for check in json.loads(done.stdout) if check["set"] is False}
    assert "PrivateNetwork=" in exposed
    comments = "".join(line for line in unit.read_text().splitlines() if line.startswith("#"))
    unexplained = {name for name in exposed if f"{name.partition('=')[0]}=" not in comments}
    assert unexplained == set()


def test_installing_twice_changes_nothing(tmp_path: Path) -> None:
    make("install-service", tmp_path)
    once = tree(tmp_path)
    make("install-service", tmp_path)
    assert tree(tmp_path) == once
    assert {name: oct(mode & 0o777) for name, (mode, _) in once.items()} == {
        "etc/streamcam/config.toml": "0o640",
        "usr/lib/systemd/system/streamcam.service": "0o644",
        "usr/lib/sysusers.d/streamcam.conf": "0o644",
        "usr/lib/tmpfiles.d/streamcam.conf": "0o644",
    }


def test_the_prefix_is_where_the_unit_looks(unit: Path) -> None:
    commands = re.findall(r"^Exec\w+=(\S*streamcam) ", unit.read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert all(Path(command).is_file() for command in commands)
    assert "/opt/" not in unit.read_text()


def test_an_update_keeps_the_configuration_and_so_does_the_end(tmp_path: Path) -> None:
    make("install-service", tmp_path)
    config = tmp_path / "etc" / "streamcam" / "config.toml"
    config.write_text("# mine\n", encoding="utf-8")
    kept = [config, *media(tmp_path)]
    make("install-service", tmp_path)
    said = make("uninstall-service", tmp_path)
    assert sorted(tree(tmp_path)) == sorted(str(path.relative_to(tmp_path)) for path in kept)
    assert config.read_text(encoding="utf-8") == "# mine\n"
    for folder in ("etc/streamcam", "var/lib/streamcam", "var/cache/streamcam", "srv/streamcam"):
        assert f"left: {tmp_path / folder}\n" in said
    assert "left" in make("uninstall-service", tmp_path)


def test_a_purge_leaves_only_what_people_brought(tmp_path: Path) -> None:
    make("install-service", tmp_path)
    brought, *_ = media(tmp_path)
    said = make("uninstall-service", tmp_path, PURGE="yes")
    assert list(tree(tmp_path)) == [str(brought.relative_to(tmp_path))]
    assert re.findall("^left: .*", said, re.MULTILINE) == [f"left: {tmp_path}/srv/streamcam"]
    brought.unlink()
    make("uninstall-service", tmp_path, PURGE="yes")
    assert not (tmp_path / "srv" / "streamcam").exists()


def media(root: Path) -> list[Path]:
    """Put something into each folder that the service fills; the first is brought by people."""
    files = [
        root / "srv/streamcam/incoming/clip.mp4",
        root / "srv/streamcam/explained/clip.heatmap.mp4",
        root / "var/lib/streamcam/ledger.sqlite3",
        root / "var/cache/streamcam/torch/weights.pth",
    ]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    return files


def test_only_our_own_environment_is_removed_or_written_over(tmp_path: Path) -> None:
    theirs = tmp_path / "opt" / "streamcam" / "precious"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    refused = run("make", "install-service", f"DESTDIR={tmp_path}", "VENV_INSTALL=yes")
    assert refused.returncode != 0
    assert "holds something else; choose another PREFIX" in refused.stdout
    make("uninstall-service", tmp_path)
    assert theirs.exists()
    (theirs.parent / "pyvenv.cfg").touch()
    make("uninstall-service", tmp_path)
    assert not theirs.parent.exists()


def test_the_user_belongs_to_the_groups_of_gpus_and_cameras(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        missing("no systemd-sysusers: the service's user is NOT CHECKED")
    (tmp_path / "etc").mkdir()
    done = run("systemd-sysusers", f"--root={tmp_path}", FILES / "streamcam.sysusers")
    assert done.returncode == 0, done.stderr
    name, *_, home, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert (name, home, Path(shell).name) == ("streamcam", "/var/lib/streamcam", "nologin")
    groups = (tmp_path / "etc/group").read_text()
    for group in ("video", "render"):
        assert re.search(rf"^{group}:.*:streamcam$", groups, re.MULTILINE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_passwords_are_for_the_service_only(tmp_path: Path) -> None:
    if shutil.which("systemd-tmpfiles") is None:
        missing("no systemd-tmpfiles: the service's folders are NOT CHECKED")
    make("install-service", tmp_path)
    config = tmp_path / "etc" / "streamcam" / "config.toml"
    config.chmod(0o644)
    run("systemd-sysusers", f"--root={tmp_path}", FILES / "streamcam.sysusers")
    done = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", FILES / "streamcam.tmpfiles")
    assert done.returncode == 0, done.stderr
    entry = (tmp_path / "etc/passwd").read_text().strip().split(":")
    service, group = int(entry[2]), int(entry[3])
    assert _owner(config) == (0, group, "0o640")
    assert _owner(config.parent) == (0, group, "0o750")
    assert _owner(tmp_path / "srv/streamcam/incoming") == (service, group, "0o2775")
    assert _owner(tmp_path / "srv/streamcam/explained") == (service, group, "0o2750")


def _owner(path: Path) -> tuple[int, int, str]:
    found = path.stat()
    return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)


def test_the_example_names_a_folder_and_shows_a_camera() -> None:
    text = (FILES / "config.toml").read_text(encoding="utf-8")
    folders = [folder["path"] for folder in tomllib.loads(text)["folder"]]
    assert folders == ["/srv/streamcam/incoming"]
    shown = re.sub(r"^# (?=\[\[|\w+ = )", "", text, flags=re.MULTILINE)
    (camera,) = tomllib.loads(shown)["camera"]
    assert set(camera) == {"name", "url"}
