"""Hostile text is escaped on each way out: terminal, JSON, logs, pages and pictures."""

import io
import json
import logging
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from streamcam.audit import page as audit_page
from streamcam.audit.scores import BASELINES
from streamcam.cli import bench, progress, status, summaries, terminal
from streamcam.cli.logs import JsonFormatter, LogFormat, TextFormatter, configure_logging
from streamcam.config.schema import ModelSettings, Settings
from streamcam.config.toml import to_toml
from streamcam.escapes import escaped_json, printable, printable_json
from streamcam.jobs.job_tables import FILE_NAME
from streamcam.jobs.store import JobStore
from streamcam.pipeline.report_tally import ReportTally
from streamcam.render.boxes import draw_labels
from streamcam.render.style import Scale
from streamcam.sinks import records
from streamcam.types import CameraState, CameraStatus, Counts, JobReport, Outcome
from streamcam.urls import redacted_url
from streamcam.vision.models.network import FeatureLevels, Network, Sizing
from tests.cli.conftest import Streamcam
from tests.cli.conftest import streamcam as streamcam
from tests.jobs.conftest import arrive
from tests.sinks.items import PERSON, explained, frame, info

HOSTILE = "a\x1b[2J\x1b]0;T\x07\x9b31m\rb\nc\x7f\u2028d\u202ee\u2066f\u200f[red]g:smile:<b>h"
"""Clears the screen, names the window, forges lines, reverses text, and is markup."""
SHOWN = r"a\x1b[2J\x1b]0;T\x07\x9b31m\rb\nc\x7f\u2028d\u202ee\u2066f\u200f[red]g:smile:<b>h"
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

REPORT = JobReport(
    f"dir/{HOSTILE}.mp4",
    Outcome.DONE,
    Counts(decoded=1, explained=1, detections={HOSTILE: 2}),
    outputs={"video": Path("out", HOSTILE)},
)
FAILED = replace(REPORT, outcome=Outcome.FAILED, error=HOSTILE, hint=HOSTILE)
CAMERA = CameraStatus(
    HOSTILE, HOSTILE, CameraState.BACKING_OFF, 0.0, HOSTILE, counts=Counts(detections={HOSTILE: 1})
)
DETECTED = replace(PERSON, label=HOSTILE)
RESULT = replace(explained(frame(0)), detections=(DETECTED,))


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What every console of the command line prints, wide and without colours."""
    text = io.StringIO()
    made = terminal.Terminal(file=text, width=4000, no_color=True)
    for module in (terminal, summaries, progress, status, bench):
        for name in ("output", "errors"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda: made)
    return text


def running_files() -> None:
    files = progress.FileTable()
    files.file_started(replace(info(), id=HOSTILE))
    files.file_ended(FAILED)
    progress.errors().print(files)


def cameras() -> None:
    table = progress.CameraTable(HOSTILE)
    table.statuses = lambda: [CAMERA, replace(CAMERA, error=None)]
    table.camera_frame(replace(RESULT, frame=replace(RESULT.frame, source=HOSTILE)), 0.1)
    table.download_progressed(HOSTILE, 1, None)
    progress.errors().print(table)


def table_of_run() -> None:
    tally = ReportTally()
    tally.add(REPORT)
    tally.add(FAILED)
    summaries.print_reports(tally)


def state_of_service() -> None:
    camera = {
        **dict.fromkeys(("latency", "error"), None),
        **dict.fromkeys(("width", "height", "frame_rate", "explained_rate", "reconnects"), 1),
        "name": HOSTILE,
        "state": "live",
        "outlets": {},
        "latest": {"record": {"detections": [{"label": HOSTILE}]}},
        "regions": {
            "zones": {HOSTILE: {"objects": 1, "visits": {HOSTILE: 1}, "seconds": {HOSTILE: 2.0}}},
            "lines": {HOSTILE: {"in": {HOSTILE: 1}, "out": {}}},
        },
    }
    broken = {**camera, "error": HOSTILE, "outlets": {"recording": HOSTILE}}
    answer = {"cameras": [camera, broken], "jobs": {}, "output_free_bytes": None, "gpu_memory": {}}
    status._print({**answer, "not_ready": [HOSTILE]})


WAYS: dict[str, Callable[[], object]] = {
    "error": lambda: terminal.show_error(HOSTILE, HOSTILE, [HOSTILE]),
    "table of run": table_of_run,
    "lines of run": lambda: [progress.LineReporter(2).file_ended(one) for one in (REPORT, FAILED)],
    "line of a file": lambda: progress.LineReporter().file_started(replace(info(), id=HOSTILE)),
    "table of files": running_files,
    "line of a camera": lambda: progress.LineReporter().camera_changed(CAMERA),
    "table of cameras": cameras,
    "end of a camera": lambda: terminal.output().print(summaries.camera_summary(CAMERA, 1.0)),
    "status": state_of_service,
    "text in a table": lambda: terminal.output().print(terminal.styled(HOSTILE, "red")),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_terminal_gets_it_escaped_in_one_piece(way: str, console: io.StringIO) -> None:
    WAYS[way]()
    text = console.getvalue()
    assert not ACTING.search(text)
    # Long names lose their beginning in tables of running files.
    assert SHOWN[-20:] in text
    assert "\nc" not in text


def test_a_console_escapes_what_was_forgotten(console: io.StringIO) -> None:
    terminal.output().print(terminal.Text(HOSTILE))
    assert r"\x1b[2J" in console.getvalue()
    assert not ACTING.search(console.getvalue())


@pytest.mark.parametrize("value", [summaries.as_json(FAILED), records.record(RESULT)])
@pytest.mark.parametrize("indent", [False, True])
def test_json_on_a_terminal_is_escaped_and_means_the_same(value: object, indent: bool) -> None:
    text = printable_json(value, indent=indent).decode()
    assert not ACTING.search(text)
    assert json.loads(text) == value


def test_records_hold_the_text_itself() -> None:
    line = records.line(RESULT)
    assert line.count(b"\n") == 1
    assert json.loads(line)["detections"][0]["label"] == HOSTILE


class LabelledNetwork(Network):
    def forward(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def decode(self, *_: object) -> NoReturn:
        raise NotImplementedError


def test_class_names_are_escaped_when_a_model_is_loaded() -> None:
    names = {0: HOSTILE, 1: "half a pair \ud83d", 2: "traffic light"}
    network = LabelledNetwork(
        sizing=Sizing(shortest=32, longest=32), levels=FeatureLevels.of({"0": 8}), categories=names
    )
    assert network.categories == {0: SHOWN, 1: r"half a pair \ud83d", 2: "traffic light"}


def log_record() -> logging.LogRecord:
    return logging.makeLogRecord({"levelno": 20, "msg": "%s", "args": (HOSTILE,)})


@pytest.mark.parametrize("journal", [False, True])
def test_a_line_of_a_log_stays_a_line(journal: bool) -> None:
    text = TextFormatter(redacted_url, journal=journal).format(log_record())
    assert text.endswith(SHOWN)
    line = JsonFormatter(redacted_url, journal=journal).format(log_record())
    assert json.loads(line.partition("{")[2].join(["{", ""]))["message"] == SHOWN


def test_a_log_on_a_terminal_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("NO_COLOR", "1")
    handler = configure_logging(logging.INFO, LogFormat.TEXT, stream=stream)
    handler.handle(log_record())
    text = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())  # rich's own styles
    assert SHOWN in text
    assert not ACTING.search(text)


def test_settings_are_shown_as_toml_that_means_the_same() -> None:
    text = to_toml(Settings(model=ModelSettings(weights=HOSTILE, classes=(HOSTILE,))))
    assert not ACTING.search(text)
    assert escaped_json(json.dumps(HOSTILE, ensure_ascii=False)) in text


def test_a_wrong_configuration_is_named_escaped(streamcam: Streamcam, tmp_path: Path) -> None:
    file = tmp_path / f"{HOSTILE}.toml"
    key, value = (json.dumps(HOSTILE).replace(r"\u007f", "x"),) * 2
    file.write_text(f"[http]\n{key} = 3\n[cam]\nmethod = {value}\n[{key}]\n")
    checked = streamcam("config", "check", file)
    assert checked.returncode == 78
    assert checked.stderr.count(SHOWN[:20]) >= 3
    assert not ACTING.search(checked.stderr)
    assert "\nc" not in checked.stderr


def test_jobs_are_listed_escaped(streamcam: Streamcam, tmp_path: Path) -> None:
    with closing(JobStore(tmp_path / "out.state" / FILE_NAME)) as store:
        arrive(store, tmp_path, f"{HOSTILE}.mp4")
    for words in (("list",), ("show", "1")):
        listed = streamcam("jobs", *words, "--output", tmp_path / "out", COLUMNS="4000").stdout
        assert f"{SHOWN}.mp4" in listed
        assert not ACTING.search(listed)
    (job,) = json.loads(streamcam("jobs", "list", "--json", "--output", tmp_path / "out").stdout)
    assert job["file"] == str(tmp_path / f"{HOSTILE}.mp4")


def test_an_imported_model_is_named_escaped(streamcam: Streamcam, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    card = {"architecture": HOSTILE, "weights": "w.safetensors", "sha256": "", "classes": {}}
    (tmp_path / "mine" / "model.json").write_text(json.dumps(card))
    listed = streamcam("models", "list", STREAMCAM_MODEL_LIBRARY=str(tmp_path))
    assert listed.returncode == 0, "one model that cannot be used does not hide the others"
    assert r"a\x1b[2J" in listed.stdout
    assert not ACTING.search(listed.stdout + listed.stderr)


def test_a_picture_shows_the_escapes() -> None:
    pictures = []
    for label in (HOSTILE, SHOWN.replace(r"\r", " ").replace(r"\n", " ").replace(r"\u2028", " ")):
        canvas = np.zeros((200, 800, 3), np.uint8)
        assert draw_labels(canvas, [replace(PERSON, label=label)], Scale.of(800, 200))
        pictures.append(canvas)
    assert np.array_equal(*pictures)


def test_the_page_of_an_audit_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES, "hostile", HOSTILE)
    shown = audit_page._title("hostile")
    assert shown == SHOWN.replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("text", ["é 日本語 🧑\u200d🔧 مرحبا", "10.00.00\u202fAM", "a b.mp4"])
def test_what_is_harmless_stays(text: str) -> None:
    assert printable(text) == text


def test_bytes_that_are_no_text_can_be_shown() -> None:
    assert printable(os.fsdecode(b"caf\xe9")) == r"caf\udce9"
