"""A sink of another distribution: found, configured, and used for files and cameras alike."""

import json
from pathlib import Path

import jsonschema
import pytest

from streamcam import schemas
from streamcam.config import load_settings
from streamcam.errors import ConfigError
from streamcam.sinks import registry
from tests.cli.conftest import Streamcam, streamcam  # noqa: F401 - a fixture
from tests.distributions import install

SINK = '''
"""Writes when each explained frame was taken, as text."""

from pathlib import Path

from streamcam.files import write_file
from streamcam.sinks.base import Sink, SinkSettings, SinkTarget
from streamcam.sinks.base import ResultFile
from streamcam.types import FrameResult, Item, Picture


class TimesSettings(SinkSettings):
    digits: int = 3


class TimesSink(Sink[TimesSettings]):
    settings_type = TimesSettings
    result_file = ResultFile("times", ".times.txt", "times of the frames", "text/plain")

    def __init__(self, target: SinkTarget, settings: TimesSettings) -> None:
        self._path = target.path(self.result_file)
        self._digits = settings.digits
        self._times: list[float] = []

    def write(self, item: Item, picture: Picture | None) -> None:
        if isinstance(item, FrameResult):
            self._times.append(item.frame.time)

    def finish(self) -> Path:
        lines = "".join(f"{time:.{self._digits}f}\\n" for time in self._times)
        return write_file(self._path, lines.encode())

    def abort(self) -> None:
        self._times.clear()
'''

ENTRY_POINTS = "[streamcam.sinks]\ntimes = times_sink:TimesSink\nbroken = times_sink:NoSuchSink\n"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the folder of a distribution that brings the sink `times`."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    install(folder, "times_sink", SINK, ENTRY_POINTS)
    return folder


def configured(tmp_path: Path, table: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(table)
    return file


def test_a_file_goes_to_it(installed: Path, tmp_path: Path, streamcam: Streamcam) -> None:  # noqa: F811
    config = configured(tmp_path, '[sinks.times]\ndigits = 1\n[output]\nvideo = "off"\n')
    scene = "demo://street?seconds=1&seed=3"
    out = tmp_path / "out"
    done = streamcam("run", scene, "--config", config, "-o", out, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    (times,) = out.rglob("*.times.txt")
    assert times.read_text() == "0.0\n0.2\n0.4\n0.6\n0.8\n"
    (manifest,) = out.rglob("*.manifest.json")
    content = json.loads(manifest.read_text())
    jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(content)
    assert content["outputs"]["times"] == times.name


def test_a_camera_goes_to_it(installed: Path, tmp_path: Path, streamcam: Streamcam) -> None:  # noqa: F811
    config = configured(tmp_path, "[sinks.times]\n[live]\nmax_fps = 100\n")
    camera = ("testsrc2=size=64x48:rate=5:duration=1", "--format", "lavfi", "--name", "yard")
    options = ("--record", "never", "--config", config, "-o", tmp_path / "out")
    done = streamcam("live", *camera, *options, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    times = (tmp_path / "out/yard/yard.times.txt").read_text().split()
    assert times[0] == "0.000"
    assert len(times) >= 1


@pytest.fixture
def on_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setattr(registry, "_entries", registry._entries.__wrapped__)
    monkeypatch.setattr(registry, "result_files", registry.result_files.__wrapped__)


@pytest.mark.usefixtures("on_path")
def test_its_files_are_known_as_results_and_removed_with_them(tmp_path: Path) -> None:
    result = tmp_path / "clip.times.txt"
    result.touch()
    assert registry.is_result(result)
    registry.remove_results(tmp_path, "clip")
    assert not result.exists()


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[sinks.tims]\n", 'sinks.tims: unknown, did you mean "times"?'),
        ("[sinks.video]\n", "sinks.video: unknown (known: times, broken)"),
        ("[sinks.times]\ndigit = 3\n", 'sinks.times.digit: unknown, did you mean "digits"?'),
        ("[sinks.times]\ndigits = 'x'\n", "sinks.times.digits: must be"),
        ("[sinks.broken]\n", "broken: this sink cannot be loaded: AttributeError"),
        ("[sinks]\ntimes = 3\n", "sinks.times: "),
        (
            "[[camera]]\nname = 'a'\nurl = 'rtsp://x/y'\nsinks.times.digit = 1\n",
            'camera.0.sinks.times.digit: unknown, did you mean "digits"?',
        ),
    ],
)
def test_its_table_is_checked(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(configured(tmp_path, table))
    assert message in caught.value.message
