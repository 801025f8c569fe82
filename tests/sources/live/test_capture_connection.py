"""Addresses of live sources, and when a connection counts as stalled or lost."""

from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from streamcam.errors import SourceUnavailableError
from streamcam.sources.live.capture_connection import Address, StallDetector, Timeouts
from tests.media import numbered, write_video

PATIENCE = Timeouts(opening=5.0, reading=10.0, picture=30.0, stall=3.0)


def opened(at: float = 100.0) -> StallDetector:
    stall = StallDetector("yard", PATIENCE, at)
    stall.opened(at)
    return stall


def detector(rate: float, until: float) -> StallDetector:
    """Return the stall over a camera that began at 100 and sent pictures at a steady rate."""
    stall = opened()
    for index in range(round((until - 100) * rate)):
        stall.received(index + 1, 100 + (index + 1) / rate)
    return stall


def test_one_that_does_not_answer_is_given_up() -> None:
    stall = StallDetector("yard", PATIENCE, 100.0)
    assert stall.seconds_left(101.0) == 4.0
    stall.check(104.9)
    with pytest.raises(SourceUnavailableError, match="yard: did not answer for 5 s"):
        stall.check(105.0)
    assert stall.seconds_left(106.0) == 0.0


def test_the_timeouts_restart_when_the_source_answers() -> None:
    stall = StallDetector("yard", PATIENCE, 100.0)
    stall.opened(104.0)
    assert stall.seconds_left(104.0) == 10.0
    stall.check(113.9)
    with pytest.raises(SourceUnavailableError, match="sent nothing for 10 s"):
        stall.check(114.0)


def test_data_without_a_picture_is_borne_for_longer() -> None:
    stall = opened()
    for second in range(101, 130):
        stall.received(0, second)
        stall.check(second)
        assert not stall.live
        assert not stall.stalled(second)
    assert stall.seconds_left(129.0) == pytest.approx(1.0)
    with pytest.raises(SourceUnavailableError, match="sent no picture for 30 s"):
        stall.check(130.0)


def test_a_picture_makes_it_live_and_silence_stalled_until_the_next() -> None:
    stall = detector(rate=25, until=104)
    assert stall.live
    assert stall.seconds_left(104.0) == pytest.approx(3.0)
    assert not stall.stalled(106.9)
    assert stall.stalled(107.0)
    assert stall.seconds_left(107.0) == pytest.approx(7.0), "then it is given up"
    stall.received(500, 108.0)
    assert not stall.stalled(108.0)


def test_a_slow_camera_does_not_stall_between_its_pictures() -> None:
    stall = opened()
    for index in range(20):
        now = 100 + 5.0 * (index + 1)
        assert not stall.stalled(now)
        stall.received(index + 1, now)
    assert not stall.stalled(200 + 14.0)
    assert stall.stalled(200 + 15.0)


def test_a_camera_that_becomes_quicker_is_soon_measured_by_it() -> None:
    stall = detector(rate=0.2, until=140)
    for index in range(100):
        stall.received(8 + 5 * (index + 1), 140 + 0.2 * (index + 1))
    assert stall.stalled(160 + 3.0)


def test_what_is_heard_without_a_new_picture_is_no_picture() -> None:
    stall = detector(rate=25, until=104)
    for tenth in range(40):
        stall.received(100, 104 + tenth / 10)
    assert stall.stalled(107.9)
    stall.check(113.0)


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
    assert Address(**orjson.loads(orjson.dumps(asdict(address)))) == address
