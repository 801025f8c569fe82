"""Posts of events to a real server, which checks their signature."""

import base64
import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from streamcam.config.notification_schema import WebhookSettings
from streamcam.errors import ConfigError
from streamcam.notifications import webhook_notifier
from streamcam.notifications.webhook_notifier import WebhookNotifier
from tests.notifications.conftest import VALIDATOR, end, new, update
from tests.processes import eventually
from tests.servers.webhook import WebhookServer

KEY = b"\x01\x02 a secret of some length \xff"
ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_notifier, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(webhook_notifier, "_LONGEST_PAUSE", 0.02)


@contextmanager
def notifier(
    url: str, has_clip: Callable[[str], bool] = lambda _: True, grace: float = 5.0, **settings: Any
) -> Iterator[WebhookNotifier]:
    made = WebhookNotifier("webhook 1", WebhookSettings(url=url, **settings), has_clip)
    made.start()
    try:
        yield made
    finally:
        made.stop(grace)


def documented() -> Callable[[dict[str, str], bytes, bytes], bool]:
    """Return the function by which the documentation checks a post."""
    text = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[[dict[str, str], bytes, bytes], bool] = names["is_genuine"]
    return found


def told(server: WebhookServer) -> Sequence[tuple[int, str]]:
    messages = [json.loads(post.body) for post in server.posts]
    for message in messages:
        VALIDATOR.validate(message)
    return [(message["after"]["track_id"], message["type"]) for message in messages]


@pytest.mark.parametrize("secret", [SECRET, "plain text of a secret"])
def test_posts_are_signed_as_the_specification_says(tmp_path: Path, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    key = KEY if secret == SECRET else secret.encode()
    is_genuine = documented()
    with WebhookServer() as server, notifier(server.url, secret_file=file) as made:
        made.event_changed(new())
        made.event_changed(end())
        assert eventually(lambda: made.delivered == 2)
    assert told(server) == [(1, "new"), (1, "end")]
    for post in server.posts:
        assert is_genuine(post.headers, post.body, key)
        assert not is_genuine(post.headers, post.body + b" ", key)
        assert not is_genuine(post.headers, post.body, key + b" ")
        assert post.headers["content-type"] == "application/json"
        assert post.path == "/hook/s3cretPath?key=s3cretKey"
    assert len({post.headers["webhook-id"] for post in server.posts}) == 2


def test_without_a_secret_posts_are_not_signed() -> None:
    with WebhookServer() as server, notifier(server.url, lambda _: False) as made:
        made.event_changed(end())
        assert eventually(lambda: made.delivered)
    (post,) = server.posts
    assert "webhook-signature" not in post.headers
    assert not json.loads(post.body)["after"]["has_clip"]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [(1, "new"), (1, "end")]),
        ({"stages": ["update"]}, [(1, "update")]),
        ({"cameras": ["door"]}, []),
        ({"cameras": ["yard", "door"], "classes": ["Person"]}, [(1, "new"), (1, "end")]),
        ({"classes": ["dog"]}, []),
    ],
)
def test_only_what_is_wanted_is_posted(
    settings: dict[str, Any], wanted: list[tuple[int, str]]
) -> None:
    with WebhookServer() as server:
        with notifier(server.url, **settings) as made:
            for change in (new(), update(), end()):
                made.event_changed(change)
        assert told(server) == wanted


def test_a_post_is_repeated_while_the_server_is_busy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with WebhookServer(503, 429, 500) as server, notifier(server.url) as made:
        made.event_changed(new())
        made.event_changed(end())
        assert eventually(lambda: made.delivered == 2)
        assert made.dropped == 0
    assert told(server) == [(1, "new")] * 4 + [(1, "end")]
    assert len({post.headers["webhook-id"] for post in server.posts}) == 2, "one for each change"
    assert "webhook 1 (127.0.0.1): goes on" in caplog.text


def test_a_post_that_is_refused_again_and_again_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with WebhookServer(*[503] * 10, 404) as server, notifier(server.url) as made:
        for change in (new(1), new(2), new(3)):
            made.event_changed(change)
        assert eventually(lambda: made.delivered == 1)
        assert made.dropped == 2
    assert told(server) == [(1, "new")] * 10 + [(2, "new"), (3, "new")]
    assert caplog.text.count("answers with status 503") == 1
    assert "s3cret" not in caplog.text


def test_redirections_are_not_followed() -> None:
    with WebhookServer(302, 307) as server, notifier(server.url) as made:
        made.event_changed(new())
        made.event_changed(end())
        assert eventually(lambda: made.dropped == 2)
    assert told(server) == [(1, "new"), (1, "end")]


def test_a_server_that_is_away_gets_all_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    with WebhookServer() as before:
        port, url = urlsplit(before.url).port or 0, before.url
    with notifier(url) as made:
        for number in range(1, 51):
            made.event_changed(end(number))
        assert eventually(lambda: "cannot be reached: Connection refused" in caplog.text)
        with WebhookServer(port=port) as server:
            assert eventually(lambda: made.delivered == 50)
    assert told(server) == [(number, "end") for number in range(1, 51)]
    assert "s3cret" not in caplog.text


def test_at_the_end_a_server_that_is_away_holds_nothing_up() -> None:
    with notifier("http://127.0.0.1:1/", grace=5) as made:
        for number in range(1, 51):
            made.event_changed(end(number))
    assert made.dropped == 50
    assert made.waiting == 0


def test_at_the_end_a_server_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_notifier, "_TIMEOUT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with notifier(f"http://127.0.0.1:{silent.getsockname()[1]}/", grace=0.1) as made:
            for number in range(1, 51):
                made.event_changed(end(number))
        assert (made.waiting, made.delivered) == (0, 0)
        assert made.dropped >= 49, "one may be on its way"


def test_secrets_that_cannot_be_used(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text("whsec_?")
    for file, reason in ((tmp_path / "none", "No such file"), (odd, "not base64")):
        with (
            pytest.raises(ConfigError, match=f"webhook 1: secret_file.*{reason}"),
            notifier("http://127.0.0.1:1/", secret_file=file),
        ):
            pass
