from pathlib import Path
from typing import Any

import pytest

from streamcam.cli import status as command

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


def test_a_given_url_needs_no_configuration(
    asked: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    command.status(url="http://box:1/", config=tmp_path / "absent.toml", json=True)
    assert asked == [("http://box:1/api/status", None)]
