import os
from pathlib import Path

import pytest
from streamcam.sinks.names import MAX_NAME, is_output, outputs

from streamcam.files import PART

OUT = Path("out")


def test_results_are_named_after_their_source() -> None:
    named = outputs(OUT, "dir/clip.v1")
    assert named.video == OUT / "dir/clip.v1.heatmap.mp4"
    assert named.picture == OUT / "dir/clip.v1.heatmap.jpg"
    assert named.records == OUT / "dir/clip.v1.detections.jsonl"
    assert named.manifest == OUT / "dir/clip.v1.manifest.json"


@pytest.mark.parametrize("letter", ["x", "ß", "車", "🚗"])
def test_long_names_fit_with_the_ending_of_an_unfinished_file(letter: str, tmp_path: Path) -> None:
    longest = letter * (250 // len(letter.encode()))
    named = outputs(tmp_path, f"dir/{longest}")
    for path in (named.video, named.picture, named.records, named.manifest):
        assert len(os.fsencode(path.name)) + len(PART) <= MAX_NAME
        path.name.encode()
    named.records.parent.mkdir()
    named.records.with_name(named.records.name + PART).touch()


def test_long_names_stay_apart_and_the_same() -> None:
    one, other = "x" * 249 + "1", "x" * 249 + "2"
    assert outputs(OUT, one) == outputs(OUT, one)
    assert outputs(OUT, one).video != outputs(OUT, other).video


def test_names_that_are_no_text_can_be_used(tmp_path: Path) -> None:
    stem = os.fsdecode(b"caf\xe9" * 60)
    named = outputs(tmp_path, stem)
    named.manifest.touch()
    assert len(os.fsencode(named.manifest.name)) <= MAX_NAME


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("clip.heatmap.mp4", True),
        ("clip.heatmap.mp4.part", True),
        ("clip.heatmap.jpg", True),
        ("clip.detections.jsonl", True),
        ("clip.manifest.json.part", True),
        ("clip.mp4", False),
        ("heatmap.mp4", False),
        ("clip.jpg", False),
        ("clip.mp4.part", False),
    ],
)
def test_results_are_recognised(name: str, ours: bool) -> None:
    assert is_output(Path("some") / name) is ours


def test_names_that_are_not_utf8_are_mended_and_told_apart() -> None:
    first, second = (os.fsdecode(b"caf\xe9/na" + byte + b"ve") for byte in (b"\xef", b"\xee"))
    names = [outputs(Path("out"), stem).video for stem in (first, second)]
    assert names[0] != names[1]
    for name in names:
        assert str(name).encode("utf-8")
        assert is_output(name)
        assert name.parent.parent == Path("out")
