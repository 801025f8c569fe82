import errno
import os
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamcam.clock import Clock
from streamcam.errors import NotMediaError, SourceUnavailableError
from streamcam.sources import file as file_module
from streamcam.sources.base import Selector
from streamcam.sources.file import FileSource
from streamcam.types import Frame
from tests.media import X264, flat, number_of, numbered, textured, write_video
from tests.sources.selectors import Everything, Periodic


def read(path: Path, selector: Selector | None = None, *, every: bool = False) -> list[Frame]:
    source = FileSource(path)
    frames = list(source.frames(selector or Everything(), every=every))
    source.close()
    return frames


def write_sound(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="mono")
        for start in range(0, 44100, 1152):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1152), np.int16), format="s16p", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_carry_numbers_times_and_pictures(tmp_path: Path) -> None:
    before = Clock().monotonic()
    frames = read(write_video(tmp_path / "clip.mp4", numbered(30)))
    assert [frame.index for frame in frames] == list(range(30))
    assert [number_of(frame.picture) for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([step / 25 for step in range(30)])
    assert all(frame.pts * frame.time_base == Fraction(frame.index, 25) for frame in frames)
    assert [frame.discontinuity for frame in frames] == [True] + [False] * 29
    assert before < frames[0].arrival <= frames[-1].arrival < Clock().monotonic()


def test_what_is_known_of_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", numbered(50, 66, 48), rate=Fraction(30000, 1001))
    source = FileSource(path)
    info = source.info
    source.close()
    assert (info.id, info.path) == (str(path), path)
    assert (info.width, info.height) == (66, 48)
    assert info.frame_rate == pytest.approx(29.97, abs=0.01)
    assert info.duration == pytest.approx(50 / 29.97, abs=0.05)
    assert info.frame_count == pytest.approx(50, abs=1)
    assert not info.live
    assert not info.still


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts", "mov"])
def test_containers(tmp_path: Path, ending: str) -> None:
    codec, options = ("ffv1", {}) if ending == "avi" else ("libx264", X264)
    path = write_video(tmp_path / f"clip.{ending}", numbered(12), codec=codec, options=options)
    frames = read(path)
    assert [number_of(frame.picture) for frame in frames] == list(range(12))
    assert frames[0].time == 0
    assert frames[-1].time == pytest.approx(11 / 25, abs=2e-3)


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    given = [0, 10, 250, 260, 1000, 5000]
    path = write_video(tmp_path / "clip.mkv", numbered(6), pts=given, time_base=Fraction(1, 1000))
    assert [round(1000 * frame.time) for frame in read(path)] == given


def test_time_counts_from_the_first_frame(tmp_path: Path) -> None:
    given = [5000, 5040, 5080]
    path = write_video(tmp_path / "clip.mkv", numbered(3), pts=given, time_base=Fraction(1, 1000))
    frames = read(path)
    assert [round(1000 * frame.time) for frame in frames] == [0, 40, 80]
    assert [frame.pts * frame.time_base for frame in frames] == [
        5,
        Fraction(504, 100),
        Fraction(508, 100),
    ]


def test_video_without_times_or_count(tmp_path: Path) -> None:
    """A bare H.264 stream has neither."""
    frames = read(write_video(tmp_path / "clip.h264", numbered(10)))
    assert [number_of(frame.picture) for frame in frames] == list(range(10))
    assert all(a.pts < b.pts and a.time < b.time for a, b in pairwise(frames))


def test_joined_recordings_go_on_in_time(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts", numbered(60))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    frames = read(joined)
    assert len(frames) >= 118
    assert all(0 < b.time - a.time < 0.2 for a, b in pairwise(frames))


def test_a_frame_as_often_as_wanted(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "clip.mp4", numbered(50)), Periodic(0.2))
    assert [frame.index for frame in frames] == list(range(0, 50, 5))
    assert [number_of(frame.picture) for frame in frames] == list(range(0, 50, 5))


def test_every_frame_passes_on_request(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(10))
    frames = read(path, Periodic(0.2), every=True)
    assert [frame.index for frame in frames if frame.sampled] == [0, 5]
    assert [number_of(frame.picture) for frame in frames] == list(range(10))


def test_unwanted_frames_are_never_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    picture = file_module.Display.picture

    def counting(self: file_module.Display, frame: av.VideoFrame) -> np.ndarray:
        converted.append(frame)
        return picture(self, frame)

    monkeypatch.setattr(file_module.Display, "picture", counting)
    selector = Periodic(0.4)
    assert len(read(write_video(tmp_path / "clip.mp4", numbered(50)), selector)) == 5
    assert len(converted) == 5
    assert [index for index, _ in selector.asked] == list(range(50))


def test_reading_ends_when_nothing_is_wanted_any_more(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "clip.mp4", numbered(500)))
    frames = list(source.frames(Periodic(0.04, end=0.2)))
    assert [frame.index for frame in frames] == list(range(5))
    assert source.decoded < 50
    source.close()


ALT_REF = {"auto-alt-ref": "1", "lag-in-frames": "10", "deadline": "good", "cpu-used": "5"}
GROUPED: dict[str, tuple[str, dict[str, str], bool]] = {
    "h264.mp4": ("libx264", {**X264, "g": "10", "bf": "2"}, True),
    "h264.ts": ("libx264", {**X264, "g": "10"}, True),
    "open.mkv": ("libx264", {"preset": "veryfast", "g": "10", "x264-params": "open-gop=1"}, False),
    "refresh.mp4": ("libx264", {**X264, "x264-params": "intra-refresh=1:keyint=10"}, False),
    "mpeg2.ts": ("mpeg2video", {"g": "10", "bf": "2", "qscale": "2"}, False),
    "mpeg4.avi": ("mpeg4", {"g": "10", "bf": "2", "qscale": "2"}, False),
    "mjpeg.avi": ("mjpeg", {"qscale": "2"}, True),
    "vp8.webm": ("libvpx", {"g": "10", **ALT_REF}, False),
    "vp9.webm": ("libvpx-vp9", {"g": "10", "deadline": "realtime", "cpu-used": "8"}, True),
}
"""Codec, options, and whether groups can be skipped for certain."""


@pytest.fixture(scope="module", params=GROUPED)
def grouped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bool]:
    codec, options, skips = GROUPED[request.param]
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = tmp_path_factory.mktemp("groups") / request.param
    moving = [np.roll(picture, 3 * place, axis=1) for place, picture in enumerate(textured(100))]
    return write_video(path, moving, codec=codec, options=options, pix_fmt=layout), skips


@pytest.mark.parametrize(
    "selector",
    [
        lambda: Periodic(1.0),
        lambda: Periodic(0.9, start=0.5),
        lambda: Periodic(0.04, start=3.1),
        lambda: Everything(start=2.5),
        lambda: Periodic(1.7, start=0.3, end=3.0),
    ],
)
def test_skipping_what_nobody_wants_changes_nothing(
    grouped: tuple[Path, bool], selector: Callable[[], Selector]
) -> None:
    path, skips = grouped
    whole = FileSource(path)
    whole._decoder.may_skip = False
    expected = list(whole.frames(selector()))
    source = FileSource(path)
    frames = list(source.frames(selector()))
    assert [(f.index, f.pts, f.time) for f in frames] == [
        (f.index, f.pts, f.time) for f in expected
    ]
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(frames, expected, strict=True))
    assert len(frames) > 1
    if skips:
        assert source.decoded < whole.decoded
    source.close()
    whole.close()


def test_the_default_stream_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        small = container.add_stream("libx264", rate=25, options=X264)
        large = container.add_stream("libx264", rate=25, options=X264)
        for stream, size in ((small, 64), (large, 128)):
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
        small.disposition = av.stream.Disposition.default
        large.disposition = av.stream.Disposition(0)
        for stream, size in ((small, 64), (large, 128)):
            frame = av.VideoFrame.from_ndarray(flat(size, size, (90, 90, 90)), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    assert read(path)[0].picture.shape == (64, 64, 3)


def test_a_colon_or_percent_in_the_name_is_just_a_name(tmp_path: Path) -> None:
    for name in ("12:30.mp4", "50%d.mp4", "http:x.mp4", "näme ✓.mp4"):
        path = tmp_path / name
        write_video(tmp_path / "plain.mp4", numbered(2)).rename(path)
        assert len(read(path)) == 2


def test_a_title_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Xylophon"
        stream = container.add_stream("libx264", rate=25, options=X264)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(flat(64, 48, (9, 9, 9)), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"Xylophon", b"\xe4\xf6\xfcophon"[:8].ljust(8)))
    assert len(read(path)) == 1


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "clip.mp4", numbered(2))
    monkeypatch.chdir(tmp_path)
    frames = read(Path("clip.mp4"))
    assert frames[0].source == "clip.mp4"


def test_closing_twice_or_in_the_middle(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "clip.mp4", numbered(30)))
    frames = source.frames(Everything())
    next(frames)
    source.close()
    source.close()
    del frames


# --- Inputs that cannot be explained ---------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match=r"gone\.mp4: no such file"):
        FileSource(tmp_path / "gone.mp4")


def test_a_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(SourceUnavailableError, match="no such file"):
        FileSource(tmp_path / "a.mp4/b.mp4")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"Dear diary, today I renamed a file.\n" * 40, "not a video or picture"),
        ("text.txt", b"Dear diary, today I renamed a file.\n" * 40, "no video|not a video"),
        ("noise.mkv", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "."),
        ("zeros.mp4", bytes(5000), "."),
        (
            "list.m3u8",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
            ".",
        ),
    ],
)
def test_files_that_are_no_media(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotMediaError, match=reason) as caught:
        FileSource(path)
    assert name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_video_whose_index_is_missing(tmp_path: Path) -> None:
    """A recording that was never finished has no `moov` box."""
    path = write_video(tmp_path / "clip.mp4", numbered(50))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    with pytest.raises(NotMediaError, match="not a video or picture that can be read"):
        FileSource(path)


def test_sound_alone(tmp_path: Path) -> None:
    with pytest.raises(NotMediaError, match="has no video in it"):
        FileSource(write_sound(tmp_path / "sound.mp3", "libmp3lame"))


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1152), np.int16), format="s16p", layout="mono"
        )
        frame.sample_rate = 44100
        picture = av.VideoFrame.from_ndarray(flat(64, 48, (200, 0, 0)), format="rgb24")
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        container.mux(cover.encode())
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with av.open(str(path)) as container:
        assert container.streams.video, "the file is to have a cover"
    with pytest.raises(NotMediaError, match="has no video in it"):
        FileSource(path)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotMediaError, match="is a folder"):
        FileSource(tmp_path)


def test_a_device_is_no_file() -> None:
    with pytest.raises(NotMediaError, match="neither a file nor a pipe"):
        FileSource(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(2))
    path.chmod(0)
    with pytest.raises(SourceUnavailableError, match="may not be read"):
        FileSource(path)


# --- Pipes, and ending early -----------------------------------------------------------------


def test_interrupting_ends_the_frames(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "clip.mp4", numbered(50)))
    indices = []
    for frame in source.frames(Everything()):
        indices.append(frame.index)
        if frame.index == 3:
            source.interrupt()
    assert indices == [0, 1, 2, 3]
    source.close()


def test_a_failing_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(file_module.av, "open", failing)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"x")
    with pytest.raises(SourceUnavailableError, match="cannot be read: input/output error"):
        FileSource(path)
