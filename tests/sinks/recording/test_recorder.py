import errno
import io
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.clock import Clock
from streamcam.errors import DiskFullError, SinkError
from streamcam.files import WholeFile
from streamcam.sinks.encoder import EncoderSettings
from streamcam.sinks.recording.fragmented_mp4 import read_layout
from streamcam.sinks.recording.recorder import RecordingSettings, SegmentRecorder
from streamcam.sinks.recording.segments import recover
from streamcam.types import FrameResult, Picture
from tests.sinks.disk import file_size_limit
from tests.sinks.live import START, live, record, shown, written

ONE_THREAD = EncoderSettings(encoder="libx264", threads=1)


def settings(segment: float = 60.0, **others: object) -> RecordingSettings:
    return RecordingSettings(segment=segment, encoder=ONE_THREAD, **others)  # type: ignore[arg-type]


def recorded(
    folder: Path, results: list[FrameResult], chosen: RecordingSettings | None = None
) -> None:
    sink = SegmentRecorder(folder, chosen or settings())
    record(sink, *results)
    assert sink.finish() == folder


def steady(count: int, rate: float = 5, first: int = 0) -> list[FrameResult]:
    return [live(index, index / rate) for index in range(first, first + count)]


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_segments_are_cut_by_the_cameras_clock_and_named_by_the_wall_clock(tmp_path: Path) -> None:
    recorded(tmp_path, steady(28), settings(2))
    found = written(tmp_path)
    assert [segment.stem for segment in found] == [
        "2025-03-01/11/59-58",
        "2025-03-01/12/00-00",
        "2025-03-01/12/00-02",
    ]
    assert [segment.frames for segment in found] == [
        [*range(10)],
        [*range(10, 20)],
        [*range(20, 28)],
    ]
    assert all(segment.times[0] == 0 for segment in found)


def test_a_key_frame_comes_every_second_and_at_each_cut(tmp_path: Path) -> None:
    recorded(tmp_path, steady(23, rate=7), settings(2))
    first, second = written(tmp_path)
    assert first.keys == [index % 7 == 0 for index in range(14)]
    assert second.keys == [index % 7 == 0 for index in range(9)]


def test_uneven_times_are_kept_and_pts_that_begin_anew_do_not_matter(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.7, 0.70001, 1.9, 1.95]
    results = [live(i, time, pts=1000 - i) for i, time in enumerate(times)]
    recorded(tmp_path, results)
    (segment,) = written(tmp_path)
    assert segment.times == pytest.approx(times, abs=2e-5)


def test_a_connection_made_anew_begins_a_segment(tmp_path: Path) -> None:
    results = [live(i, i / 5, reconnected=i == 4, pts=0) for i in range(8)]
    recorded(tmp_path, results)
    assert [segment.frames for segment in written(tmp_path)] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_change_of_size_begins_a_segment(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings())
    record(sink, *steady(3), size=(64, 48))
    record(sink, *steady(3, first=3), size=(75, 49))
    record(sink, *steady(3, first=6), size=(64, 48))
    sink.finish()
    found = written(tmp_path)
    assert [segment.frames for segment in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with av.open(str(tmp_path / f"{found[1].stem}.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == (76, 50)


def test_frames_that_only_passed_are_not_recorded(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings())
    first, passing, last = steady(3)
    sink.write(first, shown(0))
    sink.write(passing.frame, shown(1))
    sink.write(last, shown(2))
    sink.finish()
    (segment,) = written(tmp_path)
    assert segment.frames == [0, 2]


def test_without_video_there_are_records_alone(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings(1, video=False))
    assert not sink.needs_picture
    for result in steady(8):
        sink.write(result, None)
    sink.finish()
    assert [segment.frames for segment in written(tmp_path)] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    assert not [*tmp_path.rglob("*.mp4*")]


def test_records_follow_the_schema(tmp_path: Path) -> None:
    recorded(tmp_path, steady(2))
    (segment,) = written(tmp_path)
    for entry in segment.records:
        jsonschema.validate(entry, schemas.schema("record"))
    assert segment.records[1]["time_utc"] == "2025-03-01T11:59:58.450Z"
    assert segment.records[1]["last_frame_age"] == 0.0


def test_a_finished_segment_is_an_ordinary_mp4_that_tells_when_it_began(tmp_path: Path) -> None:
    recorded(tmp_path, steady(30, rate=10))
    (path,) = tmp_path.rglob("*.mp4")
    assert read_layout(path).complete
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.codec_context.name) == (30, "h264")
        assert float(stream.duration * stream.time_base) == pytest.approx(3.0, abs=1e-4)
        assert container.metadata["creation_time"].startswith("2025-03-01T11:59:58")
        container.seek(int(2.5 / stream.time_base), stream=stream)
        assert next(container.decode(video=0)).time == 2.0, "the key frame before it"


def test_while_it_runs_it_has_part_names_and_can_be_followed(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings())
    for index, result in enumerate(steady(4)):
        record(sink, result)
        lines = (tmp_path / "2025-03-01/11/59-58.jsonl.part").read_bytes().splitlines()
        assert len(lines) == index + 1
    assert files(tmp_path) == [
        "2025-03-01/11/59-58.jsonl.part",
        "2025-03-01/11/59-58.mp4.part",
    ]
    sink.finish()
    assert files(tmp_path) == ["2025-03-01/11/59-58.jsonl", "2025-03-01/11/59-58.mp4"]


def test_nothing_is_overwritten_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    hours = timedelta(hours=3)
    results = []
    for index, utc in enumerate([START, START, START + hours, START, START - hours, START]):
        results.append(live(2 * index, 2.0 * index, utc=utc, reconnected=True))
        results.append(live(2 * index + 1, 2.0 * index + 0.5, utc=utc))
    recorded(tmp_path, results)
    assert {segment.stem: segment.frames for segment in written(tmp_path)} == {
        "2025-03-01/11/59-58": [0, 1],
        "2025-03-01/11/59-58-2": [2, 3],
        "2025-03-01/14/59-58": [4, 5],
        "2025-03-01/11/59-58-3": [6, 7],
        "2025-03-01/08/59-58": [8, 9],
        "2025-03-01/11/59-58-4": [10, 11],
    }


@pytest.mark.parametrize("name", ["59-58.mp4", "59-58.jsonl", "59-58.mp4.part"])
def test_a_pair_shares_a_name_that_neither_of_them_finds_taken(tmp_path: Path, name: str) -> None:
    taken = tmp_path / "2025-03-01/11" / name
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"not ours")
    recorded(tmp_path, steady(2))
    assert taken.read_bytes() == b"not ours"
    assert {*files(tmp_path)} == {
        f"2025-03-01/11/{name}",
        "2025-03-01/11/59-58-2.jsonl",
        "2025-03-01/11/59-58-2.mp4",
    }


def test_frames_without_a_wall_clock_time_are_named_by_the_given_clock(tmp_path: Path) -> None:
    class Fixed(Clock):
        def utc(self) -> datetime:
            return datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)

    sink = SegmentRecorder(tmp_path, settings(), Fixed())
    result = live(0, 0.0)
    object.__setattr__(result.frame, "time_utc", None)
    record(sink, result)
    sink.finish()
    assert [segment.stem for segment in written(tmp_path)] == ["2001-02-03/04/05-06"]


def around_detections(
    tmp_path: Path, found: set[int], count: int, *, segment: float = 60.0, rate: float = 5
) -> list[list[int]]:
    chosen = settings(segment, record="detections", pre_roll=1.0, post_roll=0.6)
    recorded(tmp_path, [live(i, i / rate, found=i in found) for i in range(count)], chosen)
    return [segment.frames for segment in written(tmp_path)]


def test_detections_are_recorded_with_what_led_to_them_and_what_followed(tmp_path: Path) -> None:
    # Key frames are 0, 5, 10 ...: the second before 17 reaches back to 12, the group before to 10.
    assert around_detections(tmp_path, {17, 18}, 60) == [[*range(10, 18 + 3 + 1)]]


def test_detections_from_the_very_beginning(tmp_path: Path) -> None:
    assert around_detections(tmp_path, {0}, 30) == [[0, 1, 2, 3]]


def test_detections_follow_each_other_without_a_frame_twice(tmp_path: Path) -> None:
    # After the first run, which ends with 9, a group begins with 10; the next run takes it along.
    assert around_detections(tmp_path, {6, 13}, 30) == [[*range(10)], [*range(10, 17)]]
    first, second = written(tmp_path)
    assert first.keys[0]
    assert second.keys[0]


def test_a_long_run_of_detections_is_cut_as_usual(tmp_path: Path) -> None:
    runs = around_detections(tmp_path, {*range(12, 30)}, 60, segment=2.0)
    assert runs == [[*range(5, 15)], [*range(15, 25)], [*range(25, 33)]]


def test_a_pre_roll_that_reaches_over_a_new_connection_is_two_segments(tmp_path: Path) -> None:
    chosen = settings(record="detections", pre_roll=2.0, post_roll=0.0)
    recorded(
        tmp_path, [live(i, i / 5, found=i == 8, reconnected=i == 5) for i in range(20)], chosen
    )
    assert [segment.frames for segment in written(tmp_path)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_without_detections_there_is_no_segment_and_no_error(tmp_path: Path) -> None:
    assert around_detections(tmp_path, set(), 20) == []
    assert files(tmp_path) == []


def test_a_pre_roll_without_video_is_as_long_as_it_says(tmp_path: Path) -> None:
    chosen = settings(video=False, record="detections", pre_roll=1.0, post_roll=0.4)
    sink = SegmentRecorder(tmp_path, chosen)
    for index in range(30):
        sink.write(live(index, index / 5, found=index == 17), None)
    sink.finish()
    assert [segment.frames for segment in written(tmp_path)] == [[*range(12, 20)]]


def test_days_without_a_detection_do_not_fill_the_memory(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings(video=False, record="detections", pre_roll=5.0))
    for index in range(2000):
        sink.write(live(index, index / 5, found=False), None)
    held = sink._pre_roll._groups
    assert sum(len(group) for group in held) <= 5 * 5 + 1
    sink.abort()


def test_a_second_writer_is_refused_and_hurts_nobody(tmp_path: Path) -> None:
    first, second = (SegmentRecorder(tmp_path, settings()) for _ in range(2))
    record(first, *steady(3))
    with pytest.raises(SinkError, match="another process writes there"):
        record(second, *steady(1))
    second.abort()
    assert recover(tmp_path) == []
    record(first, *steady(3, first=3))
    first.finish()
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(6)]
    record(second, *steady(2, first=6))
    second.finish()
    assert len(written(tmp_path)) == 2


def test_abort_keeps_what_is_whole(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings())
    record(sink, *steady(7))
    sink.abort()
    sink.abort()
    (segment,) = written(tmp_path)
    assert segment.frames == [*range(7)]
    assert len(files(tmp_path)) == 2


def noise(index: int) -> Picture:
    grey = np.random.default_rng(index).integers(0, 255, (48, 64, 1), np.uint8)
    return np.repeat(grey, 3, axis=2)


@pytest.mark.parametrize("size", [100, 700, 8_000, 8_100, 20_000])
def test_a_full_disk_does_not_take_the_frames_before_it_along(tmp_path: Path, size: int) -> None:
    sink = SegmentRecorder(tmp_path, settings())
    with file_size_limit(size):
        with pytest.raises(DiskFullError, match="no space left"):  # noqa: PT012
            for index, result in enumerate(steady(100)):
                sink.write(result, noise(index))
            sink.finish()
        sink.abort()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    if size < 1000:
        assert kept == [], "not a frame was whole"
        return
    records, video = sorted(kept)
    assert (records.name, video.name) == ("59-58.jsonl", "59-58.mp4")
    lines = records.read_bytes().splitlines()
    with av.open(str(video)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == len(lines) >= 1
    for index, picture in enumerate(pictures):
        assert np.abs(picture.astype(int) - noise(index)).mean() < 8


def test_a_disk_that_is_full_when_a_segment_is_completed(tmp_path: Path) -> None:
    sink = SegmentRecorder(tmp_path, settings(1))
    record(sink, *steady(5))
    (part,) = tmp_path.rglob("*.mp4.part")
    with file_size_limit(part.stat().st_size + 200):  # for the last frame, not for the index
        with pytest.raises(DiskFullError):
            record(sink, live(5, 1.0))
        sink.abort()
    (segment,) = written(tmp_path)
    assert segment.frames == [0, 1, 2, 3, 4]


def test_a_disk_that_takes_half_of_a_write_is_noticed(tmp_path: Path) -> None:
    full = pytest.raises(OSError, match=os.strerror(errno.EFBIG))
    with file_size_limit(10), WholeFile(tmp_path / "x", "xb") as file, full:
        file.write(b"more than that")


RECORD_FOR_EVER = """
import sys
from pathlib import Path
from streamcam.sinks.recording.recorder import SegmentRecorder
from tests.sinks.live import live, record
from tests.sinks.recording.test_recorder import settings

sink = SegmentRecorder(Path(sys.argv[1]), settings(2))
index = 0
while True:
    record(sink, live(index, index / 5))
    print(index, flush=True)
    index += 1
"""


@pytest.mark.parametrize("frames", [1, 2, 17, 40])
def test_after_a_kill_everything_plays_but_the_last_frame(tmp_path: Path, frames: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECORD_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        reported = 0
        while reported < frames:
            reported = int(process.stdout.readline()) + 1
        with pytest.raises(SinkError, match="another process"):
            record(SegmentRecorder(tmp_path, settings()), live(0, 0.0))
        process.send_signal(signal.SIGKILL)
        reported += len(process.stdout.read().splitlines())
    running = [*tmp_path.rglob("*.mp4.part")]
    assert len(running) <= 1
    recovered = recover(tmp_path)
    assert {path.with_suffix("") for path in recovered} <= {
        path.with_suffix("").with_suffix("") for path in running
    }
    assert not [*tmp_path.rglob("*.part")]
    kept = [frame for segment in written(tmp_path) for frame in segment.frames]
    assert kept == [*range(len(kept))]
    assert len(kept) >= reported - 1
