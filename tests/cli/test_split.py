"""`streamcam run --split`: in pieces and in one piece, the results are the same."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamcam.demo.source import DemoSource
from streamcam.errors import CorruptMediaError
from streamcam.pipeline.piece_job import PieceJob
from streamcam.pipeline.split_job import TOLERANCE
from streamcam.sinks.parquet.table_sinks import read_record_tables
from streamcam.sources.decoder import Decoder
from streamcam.types import JobReport
from tests.cli.conftest import Streamcam
from tests.cli.stubbed import Stubbed, found, stubbed
from tests.media import X264, numbered, write_video
from tests.sinks.clips import flash_and_beep

__all__ = ["stubbed"]

B_FRAMES = {**X264, "preset": "veryfast", "g": "25", "bf": "2"}
"""A key frame a second, which no frame after it refers across."""

UNEVEN = np.cumsum(np.tile([1, 3, 1, 7, 2, 4], 50)).tolist()
"""Timestamps with gaps, in 1/25 s: 36 s."""


def packets(path: Path, kind: str) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found = container.demux(streams) if streams else []
        return [(p.pts or 0, p.duration or 0, bytes(p)) for p in found if p.size]


def shown(path: Path) -> list[tuple[Fraction, npt.NDArray[np.int16]]]:
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="gray").astype(np.int16))
            for frame in container.decode(video=0)
        ]


def without_times(manifest: dict[str, Any]) -> dict[str, Any]:
    kept = {
        key: value
        for key, value in manifest.items()
        if key not in ("started", "ended", "seconds", "settings")
    }
    # How far the decoder has read ahead depends on its threads.
    return {**kept, "counts": {**kept["counts"], "decoded": None}}


def both(stubbed: Stubbed, clip: Path, out: Path, *more: object, split: str = "4s") -> list[Path]:
    """Explain a clip in one piece and in several; return the two folders of results."""
    folders = [out / "whole", out / "pieces"]
    for folder, options in zip(folders, ([], ["--split", split]), strict=True):
        ended = stubbed("run", clip, "-o", folder, *more, *options)
        assert ended.code == 0, ended.stderr
        assert "not split" not in ended.stderr
        assert not list(folder.glob("*.part"))
    return folders


def assert_same(whole: Path, pieces: Path, stem: str) -> None:
    one, several = found(whole, stem), found(pieces, stem)
    assert several.records == one.records
    assert without_times(several.manifest) == without_times(one.manifest)
    videos = [folder / f"{stem}.heatmap.mp4" for folder in (whole, pieces)]
    assert packets(videos[1], "audio") == packets(videos[0], "audio")
    times = [[(pts, length) for pts, length, _ in packets(video, "video")] for video in videos]
    assert times[1] == times[0]
    for (moment, picture), (expected, other) in zip(*map(shown, videos), strict=True):
        assert moment == expected
        assert np.abs(picture - other).mean() < 2
    stills = [cv2.imread(str(folder / f"{stem}.heatmap.jpg")) for folder in (whole, pieces)]
    assert np.array_equal(stills[0], stills[1])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", numbered(300), options=B_FRAMES)


def test_a_split_video_is_as_in_one_piece(
    stubbed: Stubbed, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[float, float, float, int]] = []

    def noting(job: PieceJob, run: Any = PieceJob.run) -> JobReport:
        piece = job.piece
        index = 0 if piece.seek is None else piece.seek.index
        ran.append((piece.lead_in, piece.start, piece.end, index))
        return run(job)

    monkeypatch.setattr(PieceJob, "run", noting)
    assert_same(*both(stubbed, clip, tmp_path, "--workers", "3"), "clip")
    assert sorted(ran) == [
        (0.0, 0.0, 4.0, 0),
        (2.0, 4.0, 8.0, 50),
        (6.0, 8.0, float("inf"), 140),  # the pictures begin anew there
    ]


@pytest.mark.parametrize(
    "options",
    [
        ("--every", "7"),
        ("--start", "3.3s", "--end", "10.1s", "--split", "2s"),
        ("--max-fps", "3.7", "--save-maps", "npz"),
        ("--save-maps", "png"),
    ],
)
def test_sampling_and_maps_do_not_depend_on_pieces(
    stubbed: Stubbed, clip: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    whole, pieces = both(stubbed, clip, tmp_path, *options)
    assert_same(whole, pieces, "clip")
    maps = [
        {path.name: path.read_bytes() for path in (folder / "clip.maps").glob("*")}
        for folder in (whole, pieces)
    ]
    assert maps[0] == maps[1]
    if "npz" in options:
        with np.load(whole / "clip.maps.npz") as one, np.load(pieces / "clip.maps.npz") as several:
            assert several.files == one.files
            assert all(np.array_equal(one[name], several[name]) for name in one.files)


@pytest.mark.parametrize("form", ["parquet", "both"])
def test_tables_of_records_are_joined(
    stubbed: Stubbed, clip: Path, tmp_path: Path, form: str
) -> None:
    whole, pieces = both(stubbed, clip, tmp_path, "--records", form, "--video", "off")
    one, several = (
        list(read_record_tables(folder / "clip.frames.parquet")) for folder in (whole, pieces)
    )
    assert several == one
    assert len(one) == 60
    lines = pieces / "clip.detections.jsonl"
    assert lines.exists() == (form == "both")
    if form == "both":
        assert [json.loads(line) for line in lines.read_text().splitlines()] == one


def test_full_video_keeps_every_frame_and_the_map_held_over_the_seam(
    stubbed: Stubbed, clip: Path, tmp_path: Path
) -> None:
    whole, pieces = both(stubbed, clip, tmp_path, "--video", "full", "--max-fps", "3")
    videos = [shown(folder / "clip.heatmap.mp4") for folder in (whole, pieces)]
    assert len(videos[0]) == 300
    assert [moment for moment, _ in videos[1]] == [moment for moment, _ in videos[0]]
    assert max(np.abs(a - b).mean() for (_, a), (_, b) in zip(*videos, strict=True)) < 2


def test_uneven_frames_and_late_clocks(stubbed: Stubbed, tmp_path: Path) -> None:
    pts = [30 + moment for moment in UNEVEN]
    clip = write_video(
        tmp_path / "uneven.mp4",
        numbered(len(pts)),
        pts=pts,
        time_base=Fraction(1, 25),
        options={**B_FRAMES, "g": "12"},
    )
    assert_same(*both(stubbed, clip, tmp_path, split="9s"), "uneven")


def test_sound_is_that_of_the_whole_video(stubbed: Stubbed, tmp_path: Path) -> None:
    clip = flash_and_beep(tmp_path / "beep.mp4", codec="aac", at=5.0, seconds=24.0)
    whole, pieces = both(stubbed, clip, tmp_path, split="12s")
    assert_same(whole, pieces, "beep")
    assert len(packets(pieces / "beep.heatmap.mp4", "audio")) > 1000


@pytest.fixture
def killed(
    stubbed: Stubbed, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[object, ...]:
    """Run until the third of four pieces begins; return the words of the command."""
    words = ("run", clip, "-o", tmp_path / "out", "--split", "3s", "--workers", "1")

    def run_two(job: PieceJob, run: Any = PieceJob.run) -> JobReport:
        if job.piece.number == 2:
            raise MemoryError
        return run(job)

    with monkeypatch.context() as patched:
        patched.setattr(PieceJob, "run", run_two)
        assert stubbed(*words).code == 70
    return words


@pytest.fixture
def redone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the pieces that are explained from now on."""
    numbers: list[int] = []

    def noting(job: PieceJob, report: JobReport, explain: Any = PieceJob._explain) -> JobReport:
        numbers.append(job.piece.number)
        return explain(job, report)

    monkeypatch.setattr(PieceJob, "_explain", noting)
    return numbers


def test_a_run_that_died_goes_on_with_its_pieces(
    stubbed: Stubbed, clip: Path, tmp_path: Path, killed: tuple[object, ...], redone: list[int]
) -> None:
    (folder,) = (tmp_path / "out").glob("clip.*.pieces.part")
    assert {path.name[:4] for path in folder.iterdir()} == {"0000", "0001"}
    (folder / "0001.piece.json").unlink()  # written last
    ended = stubbed(*killed)
    assert ended.code == 0, ended.stderr
    assert redone == [1, 2, 3]
    assert not folder.exists()
    stubbed("run", clip, "-o", tmp_path / "whole")
    assert_same(tmp_path / "whole", tmp_path / "out", "clip")
    assert "skipped" in stubbed(*killed).stdout


@pytest.mark.parametrize("more", [("--colormap", "jet"), ("--split", "4s")])
def test_pieces_of_other_settings_or_frames_are_made_again(
    stubbed: Stubbed, killed: tuple[object, ...], redone: list[int], more: tuple[str, ...]
) -> None:
    ended = stubbed(*killed, *more)
    assert ended.code == 0, ended.stderr
    assert redone == ([0, 1, 2] if "--split" in more else [0, 1, 2, 3])


def test_damage_in_the_middle_ends_the_video_there(
    stubbed: Stubbed, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = Decoder._decoded

    def broken(decoder: Decoder, packet: Any) -> Any:
        for index, frame in decoded(decoder, packet):
            if index == 190:
                raise CorruptMediaError("it breaks")
            yield index, frame

    monkeypatch.setattr(Decoder, "_decoded", broken)
    for name, options in (("whole", ()), ("pieces", ("--split", "4s"))):
        assert stubbed("run", clip, "-o", tmp_path / name, *options).code == 1
    manifests = [
        json.loads((tmp_path / name / "clip.manifest.json").read_text())
        for name in ("whole", "pieces")
    ]
    assert [manifest["outcome"] for manifest in manifests] == ["failed", "failed"]
    lines = [(tmp_path / n / "clip.detections.jsonl").read_bytes() for n in ("whole", "pieces")]
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("clip.mkv", (), "its container (matroska) has no index of all frames"),
        ("clip.mp4", ("--track",), "tracks go on from piece to piece"),
    ],
)
def test_what_cannot_be_split_is_explained_in_one_piece(
    stubbed: Stubbed, tmp_path: Path, name: str, options: tuple[str, ...], reason: str
) -> None:
    clip = write_video(tmp_path / name, numbered(150), options=B_FRAMES)
    ended = stubbed("run", clip, "-o", tmp_path / "out", "--split", "2s", *options)
    assert ended.code == 0, ended.stderr
    assert f"not split: {reason}" in ended.stderr
    assert found(tmp_path / "out", "clip").shown[1] == 30


def test_maps_of_the_real_detector_are_the_same_within_the_tolerance(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    """All that a piece knows of those before it, its stabilizer has learnt in the lead-in."""
    scene = DemoSource("demo://street?seed=5").scene
    pictures = [cv2.resize(scene.picture(n / 4), (256, 144)) for n in range(64)]
    clip = write_video(tmp_path / "street.mp4", pictures, rate=4, options={**B_FRAMES, "g": "8"})
    records = []
    for name, options in (("whole", ()), ("pieces", ("--split", "8s"))):
        folder = tmp_path / name
        # Frames that share a batch differ by rounding from those that do not.
        alike = ("--max-fps", "2", "--video", "off", "--batch", "1")
        ended = streamcam("run", clip, "-o", folder, *alike, *options)
        assert ended.returncode == 0, ended.stderr
        lines = (folder / "street.detections.jsonl").read_text().splitlines()
        records.append([json.loads(line) for line in lines])
    assert len(records[0]) == len(records[1]) == 32
    for whole, pieces in zip(*records, strict=True):
        assert_alike(whole, pieces)


def assert_alike(whole: dict[str, Any], pieces: dict[str, Any]) -> None:
    for name in ("source", "frame", "pts", "time"):
        assert pieces[name] == whole[name]
    for name in ("explained_variance", "flicker"):
        assert pieces["cam"][name] == pytest.approx(whole["cam"][name], abs=TOLERANCE)
    assert len(pieces["detections"]) == len(whole["detections"])
    for one, other in zip(whole["detections"], pieces["detections"], strict=True):
        for name in ("label", "class_id", "confidence", "box"):
            assert other[name] == one[name]
        assert other["focus"]["energy"] == pytest.approx(one["focus"]["energy"], abs=TOLERANCE)
