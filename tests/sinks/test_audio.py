import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamcam.sinks.video import VideoSink
from streamcam.types import Frame, SourceInfo
from tests.media import numbered, write_video
from tests.sinks.clips import brightest, flash_and_beep, listen

AT = 1.6
ONE_FRAME = 0.04


def explain(
    source: Path, target: Path, *, every: int = 1, start: float = 0, end: float = 99
) -> Path:
    """Write a source's frames as they are, with its sound."""
    sink = VideoSink(target, described(source))
    for frame in frames(source):
        if frame.index % every == 0 and start <= frame.time < end:
            sink.write(frame, frame.picture)
    return sink.finish()


def described(source: Path) -> SourceInfo:
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        assert video.time_base is not None
        return SourceInfo(
            str(source),
            video.width,
            video.height,
            video.time_base,
            video.average_rate,
            duration=container.duration / 1e6 if container.duration else None,
            path=source,
        )


def frames(source: Path) -> Iterator[Frame]:
    with av.open(str(source)) as container:
        first = None
        for index, decoded in enumerate(container.decode(video=0)):
            assert decoded.pts is not None
            assert decoded.time_base is not None
            first = decoded.time if first is None else first
            picture = decoded.to_ndarray(format="rgb24")
            time = decoded.time - first
            yield Frame(str(source), index, decoded.pts, decoded.time_base, time, picture)


def assert_in_sync(path: Path) -> None:
    beep = listen(path).beep
    assert beep is not None
    assert abs(beep - brightest(path)) < ONE_FRAME


@pytest.mark.parametrize(
    ("name", "codec", "video_codec", "written"),
    [
        ("clip.mp4", "aac", "libx264", "aac"),
        ("clip.ts", "aac", "libx264", "aac"),
        ("clip.mp4", "mp3", "libx264", "mp3float"),
        ("clip.mkv", "ac3", "libx264", "aac"),
        ("clip.mp4", "alac", "libx264", "alac"),
        ("clip.webm", "libopus", "libvpx", "opus"),
        ("clip.mkv", "flac", "libx264", "flac"),
        ("clip.mov", "pcm_s16le", "libx264", "aac"),
        ("clip.mpg", "mp2", "mpeg2video", "aac"),
        ("clip.avi", "pcm_s16le", "mpeg4", "aac"),
    ],
)
def test_sound_is_carried_in_sync(
    tmp_path: Path, name: str, codec: str, video_codec: str, written: str
) -> None:
    source = flash_and_beep(tmp_path / name, codec=codec, at=AT, video_codec=video_codec)
    result = explain(source, tmp_path / "out.mp4")
    assert_in_sync(result)
    heard = listen(result)
    assert heard.codec == written
    assert heard.end - heard.begin == pytest.approx(3, abs=0.06)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "aac"), ("clip.mov", "pcm_s16le")])
def test_sound_is_cut_to_what_is_shown(tmp_path: Path, name: str, codec: str) -> None:
    source = flash_and_beep(tmp_path / name, codec=codec, at=AT)
    result = explain(source, tmp_path / "out.mp4", start=1.2, end=2.2)
    assert_in_sync(result)
    heard = listen(result)
    assert heard.begin == pytest.approx(1.2, abs=0.05)
    assert heard.end == pytest.approx(2.2, abs=0.05)


@pytest.mark.parametrize(("name", "codec"), [("clip.ts", "aac"), ("clip.mkv", "pcm_s16le")])
def test_sound_of_a_late_clock_keeps_its_place(tmp_path: Path, name: str, codec: str) -> None:
    source = flash_and_beep(tmp_path / name, codec=codec, at=AT, start=100)
    result = explain(source, tmp_path / "out.mp4")
    assert_in_sync(result)
    assert brightest(result) == pytest.approx(brightest(source), abs=0.001)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "aac"), ("clip.mov", "pcm_s16le")])
def test_sound_moves_along_with_a_clock_that_is_moved(
    tmp_path: Path, name: str, codec: str
) -> None:
    source = flash_and_beep(tmp_path / name, codec=codec, at=AT, start=10)
    sink = VideoSink(tmp_path / "out.mp4", replace(described(source), live=True))
    for frame in frames(source):
        sink.write(frame, frame.picture)
    result = sink.finish()
    assert brightest(result) == pytest.approx(AT, abs=0.001)
    assert_in_sync(result)


def test_a_coarse_clock_of_the_pictures_does_not_move_the_sound(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "clip.mov", codec="pcm_s16le", at=AT)
    coarse = Fraction(1, 25)
    sink = VideoSink(tmp_path / "out.mp4", replace(described(source), time_base=coarse))
    for frame in frames(source):
        if frame.index >= 30:
            sink.write(replace(frame, pts=frame.index, time_base=coarse), frame.picture)
    beep = listen(sink.finish()).beep
    assert beep == pytest.approx(AT, abs=0.003)


@pytest.mark.data
def test_sound_of_real_footage_is_copied_and_keeps_its_place(
    tmp_path: Path, test_data: Path
) -> None:
    source = test_data / "videos" / "udacity_solidWhiteRight.mp4"
    result = explain(source, tmp_path / "out.mp4", every=5, start=2, end=4)
    with av.open(str(source)) as whole, av.open(str(result)) as part:
        wanted = [(bytes(p), p.pts) for p in whole.demux(audio=0) if p.size]
        found = [(bytes(p), p.pts) for p in part.demux(audio=0) if p.size]
    begin = next(n for n, (_, pts) in enumerate(wanted) if abs(pts - found[0][1]) < 500)
    assert len(found) == pytest.approx(2 * 48000 / 1024, abs=2)
    for (content, pts), (original, original_pts) in zip(found, wanted[begin:], strict=False):
        assert content == original
        assert abs(pts - original_pts) < 0.0002 * 48000


def test_sound_goes_with_sampled_frames(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "clip.mp4", codec="aac", at=AT)
    result = explain(source, tmp_path / "out.mp4", every=5)
    assert_in_sync(result)
    assert listen(result).end == pytest.approx(3, abs=0.05)


def test_sound_and_pictures_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "clip.mp4", codec="aac", at=AT, seconds=20)
    result = explain(source, tmp_path / "out.mp4", every=5)
    with av.open(str(result)) as container:
        places = sorted(
            (packet.pos or 0, packet.stream.type, float(packet.dts * packet.time_base))
            for packet in container.demux()
            if packet.dts is not None
        )
    last = {"video": 0.0, "audio": 0.0}
    for _, kind, time in places:
        last[kind] = time
        assert abs(last["video"] - last["audio"]) < 1.5


def test_a_source_without_sound_has_none(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", numbered(10))
    with av.open(str(explain(source, tmp_path / "out.mp4"))) as container:
        assert len(container.streams) == 1


@pytest.mark.parametrize(("name", "codec"), [("clip.ts", "aac"), ("clip.ts", "mp2")])
def test_damaged_sound_costs_no_picture(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = flash_and_beep(tmp_path / name, codec=codec, at=AT)
    whole = len(list(frames(source)))
    sink = VideoSink(tmp_path / "out.mp4", described(source))
    shown = list(frames(source))
    # Damaged after it was opened: every packet of sound from the middle on.
    content = bytearray(source.read_bytes())
    for begin in range(len(content) // 376 * 188, len(content), 188):
        if int.from_bytes(content[begin + 1 : begin + 3]) & 0x1FFF == 0x101:
            content[begin + 20 : begin + 188] = bytes(range(168))
    source.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        for frame in shown:
            sink.write(frame, frame.picture)
        result = sink.finish()
    assert len(caplog.records) == 1, "logged once"
    assert "damaged" in caplog.text
    assert listen(result).end == pytest.approx(1.5, abs=0.2)
    with av.open(str(result)) as container:
        assert sum(1 for _ in container.decode(video=0)) == whole


def test_a_soundtrack_that_is_gone_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = flash_and_beep(tmp_path / "clip.mp4", codec="aac", at=AT, seconds=2)
    shown = list(frames(source))
    info = described(source)
    source.write_bytes(b"not media any more")
    sink = VideoSink(tmp_path / "out.mp4", info)
    with caplog.at_level(logging.WARNING):
        for frame in shown:
            sink.write(frame, frame.picture)
        result = sink.finish()
    assert "sound" in caplog.text
    with av.open(str(result)) as container:
        assert len(container.streams) == 1
        assert sum(1 for _ in container.decode(video=0)) == len(shown)


def test_sound_that_ends_before_the_pictures_or_begins_after_them(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "clip.mp4", codec="aac", at=AT, seconds=2)
    sink = VideoSink(tmp_path / "out.mp4", described(source))
    (first, *_) = frames(source)
    times = [0.0, 0.5, 10.0, 60.0]
    for index, time in enumerate(times):
        pts = round(Fraction(time) / first.time_base)
        sink.write(replace(first, index=index, pts=pts, time=time), first.picture)
    result = sink.finish()
    with av.open(str(result)) as container:
        assert [f.time for f in container.decode(video=0)] == times
    assert listen(result).end == pytest.approx(2, abs=0.05)
