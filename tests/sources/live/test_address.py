"""How a user's word for a live source is understood, and what others see of it."""

from pathlib import Path

import orjson
import pytest

from streamcam.sources.live import Address
from tests.media import numbered, write_video


def test_rtsp_goes_over_tcp_unless_the_user_says_otherwise() -> None:
    assert Address("rtsp://cam/1").input_options["rtsp_transport"] == "tcp"
    assert Address("RTSPS://cam/1").input_options["rtsp_transport"] == "tcp"
    over_udp = Address("rtsp://cam/1", options={"rtsp_transport": "udp", "timeout": "1"})
    assert over_udp.input_options["rtsp_transport"] == "udp"
    assert over_udp.input_options["timeout"] == "1"


@pytest.mark.parametrize("url", ["http://cam/video", "/dev/video0", "demo://street"])
def test_others_are_opened_as_the_user_says(url: str) -> None:
    assert Address(url, options={"framerate": "10"}).input_options == {"framerate": "10"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("/dev/video3"), "v4l2"),
        (Address("/dev/video3", "mpegts"), "mpegts"),
        (Address("/dev/videos/3"), None),
        (Address("testsrc2", "lavfi"), "lavfi"),
        (Address("rtsp://cam/1"), None),
    ],
)
def test_the_format(address: Address, expected: str | None) -> None:
    assert address.input_format == expected


def test_what_is_made_here_may_end(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbered(2))
    assert Address("testsrc2", "lavfi").generated
    assert Address(str(clip)).generated
    assert not Address("rtsp://cam/1").generated
    assert not Address("/dev/video0").generated
    assert not Address("http://lavfi/demo").generated


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:p%40ss@cam:554/1?token=abc", "rtsp://cam:554/1"),
        ("rtsp://admin:p@s@cam/1", "rtsp://cam/1"),
        ("http://cam/video?user=a&pwd=b", "http://cam/video"),
        ("testsrc2=size=320x240", "testsrc2=size=320x240"),
    ],
)
def test_what_is_shown_has_no_credentials(url: str, shown: str) -> None:
    assert Address(url).redacted == shown


def test_secrets_of_the_options_are_removed_from_texts() -> None:
    address = Address(
        "http://cam/video",
        options={
            "headers": "Authorization: Bearer abcdef",
            "user_agent": "streamcam",
            "rate": "25",
        },
    )
    redact = address.redactor()
    assert "abcdef" not in redact("sent Authorization: Bearer abcdef to the camera")
    assert redact("25 frames") == "25 frames"


def test_it_survives_the_way_to_another_process() -> None:
    address = Address("rtsp://a:b@cam/ü", "rtsp", {"rtsp_transport": "udp"})
    assert Address.from_message(orjson.loads(orjson.dumps(address.to_message()))) == address
