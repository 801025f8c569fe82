import pytest

from streamcam.urls import Redactor, redacted_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.5:554/live", "rtsp://10.0.0.5:554/live"),
        ("rtsp://admin@cam/live", "rtsp://cam/live"),
        ("http://cam/video?token=secret#part", "http://cam/video"),
        ("rtsps://admin:p%40ss%2Fword@cam/live", "rtsps://cam/live"),
        ("rtsp://admin:p@ss@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:pa/ss?w@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:se\"c'r e<t>@cam/live", "rtsp://cam/live"),
        ("{'url': 'rtsp://admin:se\"cret@cam/1'}", "{'url': 'rtsp://cam/1'}"),
        ("rtsp://cam/channel@1", "rtsp://cam/channel@1"),
        ("http://[::1]:8080/channel@1", "http://[::1]:8080/channel@1"),
        ("/dev/video0", "/dev/video0"),
        ("testsrc2=size=320x240:rate=10", "testsrc2=size=320x240:rate=10"),
        ("cannot open 'rtsp://a:b@cam/x': refused", "cannot open 'rtsp://cam/x': refused"),
    ],
)
def test_urls_lose_their_credentials_and_nothing_else(url: str, shown: str) -> None:
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Server returned 401 for rtsp://admin:p%40ss%20word@cam/live?token=t0ken",
        "Authorization failed for user admin, password p@ss word",
        "p%40ss%20word",
        "p%40ss+word",
        "admin:p@ss word",
        "token t0ken was refused",
        "next try at rtsp://admin:p@ss word@cam/live",
    ],
)
def test_secrets_are_removed_in_every_form(text: str) -> None:
    redacted = Redactor("rtsp://admin:p%40ss%20word@cam/live?token=t0ken")(text)
    assert "ss" not in redacted.replace("password", "")
    assert "t0ken" not in redacted


def test_passwords_with_special_characters() -> None:
    redacted = Redactor("rtsp://admin:se\"c'r e<t>@cam/live")
    assert redacted("401 for admin with se\"c'r e<t>") == "401 for admin with ***"


def test_innocent_text_stays() -> None:
    assert Redactor("rtsp://cam/live")("no route to cam") == "no route to cam"
    text = "tried 'http://cam:80/a', then rtsp://cam:554/b of bob@home"
    assert redacted_url(text) == text


def test_urls_of_others_lose_their_credentials_too() -> None:
    redacted = Redactor("rtsp://admin:word@cam/live")("moved to rtsp://guest:pw@other/live")
    assert redacted == "moved to rtsp://other/live"
