from pathlib import Path
from typing import Any

import pytest

from streamcam.cli import status as command
from streamcam.cli.terminal import Terminal

ANSWER: dict[str, Any] = {"cameras": []}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    calls: list[tuple[str, Path | None]] = []

    def ask(url: str, token_file: Path | None) -> dict[str, Any]:
        calls.append((url, token_file))
        return ANSWER

    monkeypatch.setattr(command, "_ask", ask)
    return calls


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ("", "http://127.0.0.1:8719"),
        ("port = 9000\nhost = '0.0.0.0'", "http://127.0.0.1:9000"),
        ("host = '::'", "http://[::1]:8719"),
        ("host = '10.0.0.7'", "http://10.0.0.7:8719"),
    ],
)
def test_the_url_is_the_configured_one(
    asked: list[tuple[str, Path | None]], tmp_path: Path, http: str, url: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[http]\n{http}\ntoken_file = '/etc/token'\n")
    command.status(config=file, json=True)
    assert asked == [(f"{url}/api/status", Path("/etc/token"))]


def test_a_recording_that_rests_and_a_pause_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detections = [{"label": "person"}, {"label": "person"}]
    camera = {
        "name": "yard",
        "state": "live",
        "width": 0,
        "frame_rate": 5.0,
        "explained_rate": 5.0,
        "latency": None,
        "reconnects": 0,
        "error": None,
        "outlets": {"recording": None},
        "recording": False,
        "latest": {"record": {"detections": detections}},
        "regions": {"zones": {}, "lines": {}},
    }
    paused = camera | {"name": "door", "state": "paused", "recording": True}
    answer = {"jobs": {}, "output_free_bytes": None, "gpu_memory": {}, "not_ready": []}
    monkeypatch.setattr(command, "_ask", lambda *_: answer | {"cameras": [camera, paused]})
    monkeypatch.setattr(command, "output", lambda: Terminal(width=120))
    command.status(url="http://box:1/")
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    yard, door = rows["yard"], rows["door"]
    assert yard.split()[:2] == ["yard", "live"]
    assert yard.rstrip().endswith("not recorded now; 2 person")
    assert door.split()[:2] == ["door", "paused"]
    assert "person" not in door


def test_what_happened_in_zones_and_at_lines() -> None:
    regions = {
        "zones": {
            "door\x1b[2J": {
                "objects": 2,
                "visits": {"person": 3, "dog": 1},
                "seconds": {"person": 9},
            },
            "yard": {"objects": 0, "visits": {}, "seconds": {}},
        },
        "lines": {"gate": {"in": {"person": 3, "car": 2}, "out": {}}},
    }
    assert list(command._regions(regions)) == [
        "zone door\\x1b[2J: 2 inside, 4 left after 2.2 s on average",
        "zone yard: 0 inside, 0 left",
        "line gate: 5 in, 0 out",
    ]


def test_a_given_url_needs_no_configuration(
    asked: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    command.status(url="http://box:1/", config=tmp_path / "absent.toml", json=True)
    assert asked == [("http://box:1/api/status", None)]
