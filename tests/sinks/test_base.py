import os
from pathlib import Path

import pytest

from streamcam.files import PART
from streamcam.sinks.base import MAX_NAME, result_path
from streamcam.sinks.registry import is_result, result_files

OUT = Path("out")
VIDEO, RECORDS, MANIFEST = ".heatmap.mp4", ".detections.jsonl", ".manifest.json"
TABLES = (".frames.parquet", ".detections.parquet")
MAPS = (".maps.npz", ".maps")
ENDINGS = (VIDEO, ".heatmap.jpg", RECORDS, *TABLES, MANIFEST, *MAPS, ".events.jsonl")


def test_results_are_named_after_their_source() -> None:
    assert result_path(OUT, "dir/clip.v1", VIDEO) == OUT / "dir/clip.v1.heatmap.mp4"
    assert {file.ending for file in result_files()} == set(ENDINGS)
    assert result_files()[-1].kind == "manifest", "it is removed first: it vouches for the others"


@pytest.mark.parametrize("letter", ["x", "ß", "車", "🚗"])
def test_long_names_fit_with_the_ending_of_an_unfinished_file(letter: str, tmp_path: Path) -> None:
    longest = letter * (250 // len(letter.encode()))
    paths = [result_path(tmp_path, f"dir/{longest}", ending) for ending in ENDINGS]
    for path in paths:
        assert len(os.fsencode(path.name)) + len(PART) <= MAX_NAME
        path.name.encode()
    paths[0].parent.mkdir()
    paths[0].with_name(paths[0].name + PART).touch()


def test_long_names_are_distinct_and_reproducible() -> None:
    one, other = "x" * 249 + "1", "x" * 249 + "2"
    assert result_path(OUT, one, VIDEO) == result_path(OUT, one, VIDEO)
    assert result_path(OUT, one, VIDEO) != result_path(OUT, other, VIDEO)


def test_names_that_are_no_text_can_be_used(tmp_path: Path) -> None:
    path = result_path(tmp_path, os.fsdecode(b"caf\xe9" * 60), MANIFEST)
    path.touch()
    assert len(os.fsencode(path.name)) <= MAX_NAME


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("clip.heatmap.mp4", True),
        ("clip.heatmap.mp4.part", True),
        ("clip.heatmap.jpg", True),
        ("clip.detections.jsonl", True),
        ("clip.manifest.json.part", True),
        ("clip.maps.npz", True),
        ("00000001.map.png", True),
        ("clip.audit.html", True),
        ("clip.mp4", False),
        ("heatmap.mp4", False),
        ("clip.jpg", False),
        ("clip.mp4.part", False),
    ],
)
def test_results_are_recognised(name: str, ours: bool) -> None:
    assert is_result(Path("some") / name) is ours


def test_names_that_are_not_utf8_are_mended_and_distinct() -> None:
    first, second = (os.fsdecode(b"caf\xe9/na" + byte + b"ve") for byte in (b"\xef", b"\xee"))
    names = [result_path(OUT, stem, VIDEO) for stem in (first, second)]
    assert names[0] != names[1]
    for name in names:
        assert str(name).encode("utf-8")
        assert is_result(name)
        assert name.parent.parent == OUT
