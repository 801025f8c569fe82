"""Who may look, tried for real."""

import socket
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from streamcam.config.schema import HttpSettings
from streamcam.errors import ConfigError, ExitCode
from streamcam.service.http.auth import MAX_HEAD_BYTES, SECURITY_HEADERS
from streamcam.service.http.server import STATIC, HttpServer
from streamcam.service.metrics import Metrics
from tests.service.http.conftest import TOKEN, FinishedJobs, Serve, Visitor
from tests.service.http.fake_status import NO_FILE, FakeStatus

GUARDED = (
    *("/", "/docs", "/openapi.json", "/metrics", "/api/status", "/api/jobs", "/api/jobs/1"),
    *("/api/cameras/front", "/api/cameras/front/picture", "/api/live?front=0"),
    *("/api/jobs/1/files/video", "/api/jobs/1/timeline", "/nothing"),
)
OPEN = ("/healthz", "/readyz", "/login", "/static/style.css")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.7.9", "::", "camera-box.example"])
def test_other_machines_may_not_look_without_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.host") as caught:
        HttpServer(FakeStatus(), Metrics(), HttpSettings(host=host), NO_FILE)
    assert caught.value.exit_code is ExitCode.CONFIG == 78
    assert "http.token_file" in (caught.value.hint or "")


def test_with_a_token_they_may(serve: Serve, fake: FakeStatus, token_file: Path) -> None:
    ask = serve(fake, host="0.0.0.0", token_file=token_file)
    assert ask("/api/status").status == 401
    named = {"Authorization": f"Bearer {TOKEN}", "Host": "camera-box.example"}
    assert ask("/api/status", **named).status == 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b"short\n", "less than 16"), ("ä".encode() * 20, "more than")],
)
def test_a_token_that_is_none_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"http\.token_file: .*{reason}"):
        HttpServer(FakeStatus(), Metrics(), HttpSettings(token_file=file), NO_FILE)


def test_nothing_is_answered_without_the_token(
    serve: Serve, fake: FakeStatus, token_file: Path
) -> None:
    fake.add("front")
    ask = serve(fake, token_file=token_file)
    wrong = (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": f"streamcam={TOKEN}"},
        {"Cookie": "streamcam="},
        {"Cookie": "=;;\x01"},
    )
    for headers in wrong:
        for path in GUARDED:
            reply = ask(path, **headers)
            assert reply.status == 401, (path, headers)
            assert reply.json == {"detail": "a token is needed"}
            assert reply.headers["www-authenticate"] == "Bearer"
    for path in OPEN:
        assert ask(path).status == 200, path
    right = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/", "/docs", "/metrics", "/api/status"):
        assert ask(path, **right).status == 200, path


def test_reasons_need_the_token(serve: Serve, fake: FakeStatus, token_file: Path) -> None:
    fake.reasons = ["camera front: no answer"]
    ask = serve(fake, token_file=token_file)
    assert (ask("/readyz").status, ask("/readyz").json["reasons"]) == (503, [])
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert ask("/readyz", **right).json["reasons"] == fake.reasons


def log_in(ask: Visitor, token: str) -> tuple[int, SimpleCookie]:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = ask("/login", "POST", urlencode({"token": token}), **form)
    return reply.status, SimpleCookie(reply.headers.get("set-cookie", ""))


def test_a_browser_logs_in_and_keeps_a_cookie_that_is_not_the_token(
    serve: Serve, fake: FakeStatus, token_file: Path
) -> None:
    ask = serve(fake, token_file=token_file)
    sent = ask("/", Accept="text/html")
    assert (sent.status, sent.headers["location"]) == (303, "/login")
    assert log_in(ask, "wrong") == (401, SimpleCookie())
    assert log_in(ask, "x" * 100_000)[0] in (401, 413)
    status, cookies = log_in(ask, f" {TOKEN} ")
    cookie = cookies["streamcam"]
    assert status == 303
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert TOKEN not in cookie.value
    assert ask("/api/status", Cookie=f"other=1; streamcam={cookie.value}").status == 200
    assert ask("/api/status", Cookie=f"streamcam={cookie.value[:-1]}").status == 401


def test_behind_a_proxy_with_tls_the_cookie_stays_off_plain_http(
    serve: Serve, fake: FakeStatus, token_file: Path
) -> None:
    ask = serve(fake, token_file=token_file)
    form = urlencode({"token": TOKEN})
    for protocol, secure in (("https", True), ("http", False)):
        reply = ask("/login", "POST", form, X_Forwarded_Proto=protocol)
        assert bool(SimpleCookie(reply.headers["set-cookie"])["streamcam"]["secure"]) is secure


def test_where_no_token_is_needed_there_is_no_login(serve: Serve, fake: FakeStatus) -> None:
    ask = serve(fake)
    assert ask("/login").headers["location"] == "/"
    assert log_in(ask, "")[0] == 401


@pytest.mark.parametrize("path", [*OPEN, *GUARDED[:5], "/api/cameras/nobody", "/static/nothing"])
def test_every_answer_protects_browsers(serve: Serve, fake: FakeStatus, path: str) -> None:
    headers = serve(fake)(path, Origin="https://elsewhere.example").headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    assert "unsafe" not in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


def test_other_names_for_this_machine_are_refused(serve: Serve, fake: FakeStatus) -> None:
    ask = serve(fake)
    for host in ("evil.example", f"evil.example:{ask.port}", "127.0.0.1.evil.example", "10.0.0.1"):
        for path in ("/", "/api/status", "/healthz"):
            assert ask(path, Host=host).status == 421, host
    for host in ("localhost", f"LOCALHOST:{ask.port}", "127.0.0.1", f"[::1]:{ask.port}"):
        assert ask("/api/status", Host=host).status == 200, host


def test_no_path_leads_out(
    serve: Serve, fake_with_jobs: FakeStatus, finished: FinishedJobs, tmp_path: Path
) -> None:
    (tmp_path / "secret.mp4").write_text("secret")
    fake_with_jobs.add("front")
    (tmp_path / "front").mkdir()
    fake_with_jobs.recorded["front"] = tmp_path / "front"
    ask = serve(fake_with_jobs)
    ways = ("..", "%2e%2e", "..%2f", "%2e%2e%2f", "..%5c", "%252e%252e", ".%00.", "....//", "/")
    bases = (
        "/static/",
        f"/api/jobs/{finished.video}/files/",
        "/api/cameras/front/recordings/",
        "/api/cameras/",
    )
    ends = ("server.py", "../../../etc/passwd", "%2fetc%2fpasswd", "secret.mp4", "secret", "video")
    for base in bases:
        for way in ways:
            for end in ends:
                reply = ask(f"{base}{way}/{end}")
                assert reply.status in (400, 404, 405, 422), f"{base}{way}/{end}"
                assert b"root:" not in reply.body
                assert b"secret" not in reply.body.replace(b'"secret', b"")
                assert b"FastAPI" not in reply.body
    assert (STATIC / "../server.py").is_file()


@pytest.mark.parametrize(
    "moment",
    [
        *("20260229T000000", "20260101T246000", "20260101T000000%0a", "20260101T00000%D9%A0"),
        *("2026-01-01", "*", ".", "20260101T000000-1", "20260101T000000-2%0a"),
    ],
)
def test_only_moments_name_recordings(
    serve: Serve, fake: FakeStatus, tmp_path: Path, moment: str
) -> None:
    fake.add("front")
    fake.recorded["front"] = tmp_path
    path = f"/api/cameras/front/recordings/{moment}/video"
    with socket.create_connection(("127.0.0.1", serve(fake).port), timeout=10) as line:
        line.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        assert line.makefile("rb").readline().split()[1] in (b"404", b"400")


def test_long_heads_are_refused(serve: Serve, fake: FakeStatus) -> None:
    ask = serve(fake)
    for head in (
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * 2 * MAX_HEAD_BYTES}\r\n\r\n",
        f"GET /{'x' * 2 * MAX_HEAD_BYTES} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n" + "X-Many: 1\r\n" * MAX_HEAD_BYTES,
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", ask.port), timeout=10) as line:
            line.sendall(head.encode())
            assert line.recv(100).split()[1] in (b"400", b"431"), head[:40]
    assert ask("/healthz").status == 200
