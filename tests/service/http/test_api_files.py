"""Results as files, by ranges too, and what their timelines tell."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from fastapi import HTTPException

from streamcam.service.http.answers import timeline_answer
from streamcam.sinks.parquet.record_tables import (
    DETECTION_TABLE,
    FRAME_TABLE,
    detection_rows,
    frame_row,
)
from streamcam.sinks.parquet.table_file import TableFile
from tests.service.http.conftest import FinishedJobs, Serve
from tests.service.http.fake_status import FakeStatus


@pytest.fixture
def recorded(fake: FakeStatus, tmp_path: Path) -> FakeStatus:
    """A fake with a camera that recorded on two days, and litter beside."""
    folder = tmp_path / "rec"
    for place in ("2026-03-01/12/00-00", "2026-03-01/12/10-00", "2026-02-28/23/59-59"):
        video = folder / f"{place}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(b"video of " + place.encode())
        video.with_suffix(".jsonl").write_bytes(record(5.0, ["cat"]) + record(5.5, []))
    for litter in (
        *("2026-03-01/12/20-00.mp4.part", "2026-03-01/12/x.mp4", "2026-03-01/zz/00-00.mp4"),
        *("notes/00/00-00.mp4", "2026-13-01/00/00-00.mp4", "2026-03-01/25/00-00.mp4"),
    ):
        path = folder / litter
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"litter")
    fake.add("front")
    fake.recorded["front"] = folder
    return fake


def record(time: float, labels: list[str], lift: float = 2.0, pts: int = 0) -> bytes:
    detections = [{"label": label, "class_id": 2, "focus": {"lift": lift}} for label in labels]
    content = {"time": time, "pts": pts, "detections": detections, "cam": {"flicker": 0.5}}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def test_a_jobs_files_are_served_as_what_they_are(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    ask = serve(fake_with_jobs)
    for kind, media, name in (
        ("video", "video/mp4", "street.heatmap.mp4"),
        ("picture", "image/jpeg", "street.heatmap.jpg"),
        ("records", "application/jsonl", "street.detections.jsonl"),
        ("manifest", "application/json", "street.manifest.json"),
    ):
        answer = ask(f"/api/jobs/{finished.video}/files/{kind}")
        assert answer.headers["content-type"].split(";")[0] == media
        assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
        assert answer.body == (finished.output / name).read_bytes()
        assert answer.headers["cache-control"] == "private, no-cache"


def test_parts_of_a_video_are_served_for_seeking(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    ask = serve(fake_with_jobs)
    path = f"/api/jobs/{finished.video}/files/video"
    whole = (finished.output / "street.heatmap.mp4").read_bytes()
    part = ask(path, Range="bytes=1000-1999")
    assert (part.status, part.body) == (206, whole[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole)}"
    assert ask(path, Range="bytes=-10").body == whole[-10:]
    assert ask(path, Range=f"bytes={len(whole)}-").status == 416
    assert ask(path).headers["accept-ranges"] == "bytes"


def test_what_a_job_does_not_have_is_not_found(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    ask = serve(fake_with_jobs)
    for kind in ("video", "picture", "records", "manifest"):
        assert ask(f"/api/jobs/{finished.broken}/files/{kind}").status == 404
    assert ask(f"/api/jobs/{finished.broken}/timeline").status == 404
    assert ask(f"/api/jobs/{finished.video}/files/ledger").status == 422


def test_a_timeline_equals_the_records(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    lines = (finished.output / "street.detections.jsonl").read_bytes().splitlines()
    records = [orjson.loads(line) for line in lines]
    answer = serve(fake_with_jobs)(f"/api/jobs/{finished.video}/timeline").json
    assert answer["start"] == 0
    assert sum(answer["frames"]) == len(records) == 40
    assert len(answer["frames"]) == round(records[-1]["time"] / answer["step"]) + 1
    totals = Counter(d["label"] for record in records for d in record["detections"])
    assert {line["label"]: line["total"] for line in answer["classes"]} == dict(totals)
    assert totals, "the detector should find something in the street"
    for line in answer["classes"]:
        for bucket, (count, lift) in enumerate(zip(line["counts"], line["lifts"], strict=True)):
            inside = [r for r in records if int(r["time"] / answer["step"] + 1e-6) == bucket]
            found = [[d for d in r["detections"] if d["label"] == line["label"]] for r in inside]
            assert count == (max(map(len, found)) if found else None)
            lifts = [d["focus"]["lift"] for each in found for d in each]
            assert lift == (pytest.approx(sum(lifts) / len(lifts), abs=1e-4) if lifts else None)


def test_a_timeline_of_tables_equals_that_of_lines(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve, tmp_path: Path
) -> None:
    lines = finished.output / "street.detections.jsonl"
    records = [orjson.loads(line) for line in lines.read_bytes().splitlines()]
    frames = TableFile(tmp_path / "street.frames.parquet", FRAME_TABLE)
    frames.write(map(frame_row, records))
    detections = TableFile(tmp_path / "street.detections.parquet", DETECTION_TABLE)
    detections.write(row for record in records for row in detection_rows(record))
    detections.finish()
    expected = serve(fake_with_jobs)(f"/api/jobs/{finished.video}/timeline").json
    told = timeline_answer(frames.finish())
    assert [asdict(line) for line in told.classes] == expected["classes"]
    assert (list(told.frames), told.step) == (expected["frames"], expected["step"])
    detections.path.write_bytes(b"")
    with pytest.raises(HTTPException, match="its records cannot be read"):
        timeline_answer(tmp_path / "street.frames.parquet")


def test_a_part_of_a_timeline_equals_that_part_of_the_records(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    path = f"/api/jobs/{finished.video}/timeline"
    ask = serve(fake_with_jobs)
    whole, part = ask(path).json, ask(f"{path}?from=2&to=4").json
    assert (part["start"], part["step"], part["frames"]) == (2, 0.2, [1] * 10)
    people = {
        name: next(each for each in answer["classes"] if each["label"] == "person")
        for name, answer in (("whole", whole), ("part", part))
    }
    for kind in ("counts", "lifts"):
        assert people["part"][kind] == people["whole"][kind][10:20]
    for wrong in ("from=-1&to=2", "from=x&to=2", "from=0&to=inf", "from=nan&to=2"):
        assert ask(f"{path}?{wrong}").status == 422, wrong


def test_recordings_are_listed_by_day(recorded: FakeStatus, serve: Serve) -> None:
    ask = serve(recorded)
    answer = ask("/api/cameras/front/recordings").json
    assert (answer["days"], answer["day"]) == (["2026-03-01", "2026-02-28"], "2026-03-01")
    assert [s["name"] for s in answer["segments"]] == ["20260301T120000", "20260301T121000"]
    assert answer["segments"][1]["begin"] == "2026-03-01T12:10:00Z"
    other = ask("/api/cameras/front/recordings?day=2026-02-28").json
    (segment,) = other["segments"]
    assert ask(segment["files"]["video"]).body == b"video of 2026-02-28/23/59-59"
    assert ask(segment["files"]["records"]).headers["content-type"] == "application/jsonl"
    assert ask("/api/cameras/front/recordings?day=2025-01-01").json["segments"] == []
    assert ask("/api/cameras/front/recordings?day=../..").status == 422
    assert ask("/api/cameras/nobody/recordings").status == 404


def test_recordings_of_one_second_are_distinguished(recorded: FakeStatus, serve: Serve) -> None:
    hour = recorded.recorded["front"] / "2026-03-01" / "12"
    for number in (2, 10):
        (hour / f"10-00-{number}.mp4").write_bytes(b"video %d" % number)
        (hour / f"10-00-{number}.jsonl").write_bytes(record(float(number), ["cat"]))
    for litter in ("10-00-1", "10-00-02", "10-00-x", "10-00-2-2"):
        (hour / f"{litter}.mp4").write_bytes(b"litter")
    ask = serve(recorded)
    answer = ask("/api/cameras/front/recordings").json["segments"]
    names = ["20260301T121000", "20260301T121000-2", "20260301T121000-10"]
    assert [segment["name"] for segment in answer[1:]] == names
    assert {segment["begin"] for segment in answer[1:]} == {"2026-03-01T12:10:00Z"}
    assert ask(answer[2]["files"]["video"]).body == b"video 2"
    assert ask(answer[3]["files"]["video"]).body == b"video 10"
    assert ask(f"/api/cameras/front/recordings/{names[2]}/timeline").json["frames"] == [1]


def test_a_recordings_timeline_begins_with_its_video(recorded: FakeStatus, serve: Serve) -> None:
    answer = serve(recorded)("/api/cameras/front/recordings/20260301T120000/timeline").json
    assert (answer["start"], answer["step"], answer["frames"]) == (0, 0.5, [1, 1])
    (cat,) = answer["classes"]
    assert (cat["label"], cat["counts"], cat["lifts"]) == ("cat", [1, 0], [2, None])


@pytest.mark.parametrize("content", [b"", b"{}\n", b"no json\n", b"[1]\n", b'{"cam": 1}\n'])
def test_a_damaged_file_of_records_is_an_error(
    recorded: FakeStatus, serve: Serve, content: bytes
) -> None:
    (recorded.recorded["front"] / "2026-03-01/12/00-00.jsonl").write_bytes(content)
    answer = serve(recorded)("/api/cameras/front/recordings/20260301T120000/timeline")
    assert (answer.status, answer.json["detail"]) == (404, "its records cannot be read")
