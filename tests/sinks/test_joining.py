"""Videos of pieces that are joined: what the command's tests do not reach."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamcam.errors import SinkError
from streamcam.sinks.joining import join_folders, join_records, join_videos
from streamcam.sinks.video import VideoSink
from tests.media import numbered
from tests.sinks.items import explained, frame, info


def part(path: Path, first: int, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    width, height = size
    sink = VideoSink(path, info(size, Fraction(1, 25)))
    for index, picture in enumerate(numbered(count, width, height)):
        shown = frame(first + index, first + index, time_base=Fraction(1, 25), shown=picture)
        sink.write(explained(shown), picture)
    return sink.finish()


def test_a_frame_is_shown_until_the_next_piece_begins(tmp_path: Path) -> None:
    parts = [part(tmp_path / "0.mp4", 50, 3), part(tmp_path / "1.mp4", 60, 2)]
    path = join_videos(parts, tmp_path / "whole.mp4", None)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        tick = stream.time_base * 25
        assert [packet.pts * tick for packet in packets] == [50, 51, 52, 60, 61]
        assert [packet.duration * tick for packet in packets] == [1, 1, 8, 1, 1]
    assert not list(tmp_path.glob("*.part"))


def test_pieces_that_were_encoded_differently_are_refused(tmp_path: Path) -> None:
    parts = [part(tmp_path / "0.mp4", 0, 3), part(tmp_path / "1.mp4", 3, 3, (80, 48))]
    with pytest.raises(SinkError, match=r"1\.mp4: was encoded in another way"):
        join_videos(parts, tmp_path / "whole.mp4", None)
    assert {path.name for path in tmp_path.iterdir()} == {"0.mp4", "1.mp4"}


def test_what_cannot_be_joined_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError):
        join_records([tmp_path / "absent.jsonl"], tmp_path / "whole.jsonl")
    with pytest.raises(SinkError):
        join_folders([tmp_path / "absent"], tmp_path / "maps")
    assert not (tmp_path / "maps").exists()
    assert not (tmp_path / "whole.jsonl").exists()
