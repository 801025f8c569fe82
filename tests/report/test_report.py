"""Reports over folders of results: numbers, pictures, the page and the command."""

import re
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from streamcam.errors import UsageError
from streamcam.report.finding_pictures import pictures_of
from streamcam.report.report_page import page
from streamcam.report.results import find_sources, load
from streamcam.report.sentences import remarks
from streamcam.report.summary import MAX_BINS, Report, as_values, make_report
from tests.report.records import BEGIN, SEGMENT, detection, record, write_examples, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_examples(tmp_path)


def test_files_and_cameras_are_found(results: Path) -> None:
    clip, yard = find_sources(results)
    assert (clip.name, yard.name) == ("clip", "yard")
    assert clip.clips[0].video == results / "clip.heatmap.mp4"
    assert yard.clips[0].records == results / "yard" / f"{SEGMENT}.jsonl"
    made = load(yard)
    assert made.frames == 20
    assert made.utc[9] == pytest.approx(BEGIN.timestamp() + 1.8)


def test_a_half_written_line_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    write_results(tmp_path, [record(number, detection()) for number in range(3)])
    with (tmp_path / "clip.detections.jsonl").open("ab") as file:
        file.write(b'[1]\n{"source": "clip.mp4", "fra')
    assert load(find_sources(tmp_path)[0]).frames == 3


def test_numbers_of_each_class(results: Path) -> None:
    values = as_values(make_report(results, 5))
    assert values["classes"]["person"] == {
        "boxes": 50,
        "frames": 50,
        "confidence": 0.8,
        "lift_median": 4.0,
        "lift_tenth": 4.0,
        "off_object": 0.02,
        "peak_inside": 0.98,
        "blinks": 0,
    }
    assert values["classes"]["car"]["boxes"] == 30
    assert [one["frames"] for one in values["sources"]] == [30, 20]
    kinds = {(one["kind"], one["source"], one["time"]) for one in values["findings"]}
    assert kinds == {("off object", "clip", 2.4), ("lone", "yard", 1.8)}


def test_a_timeline_has_a_bin_for_each_of_few_frames(results: Path) -> None:
    clip, yard = make_report(results, 5).sources
    assert [len(line.most) for line in (*clip.classes, *yard.classes)] == [30, 30, 20, 20]
    dog = yard.classes[1].most
    assert [place for place, most in enumerate(dog) if most] == [9]


def test_long_sources_have_bounded_timelines(tmp_path: Path) -> None:
    frames = [record(number, *[detection()] * (number == 500)) for number in range(1000)]
    write_results(tmp_path, frames, video=False)
    source = make_report(tmp_path, 5).sources[0]
    line = source.classes[0].most
    assert len(line) == MAX_BINS
    assert [place for place, most in enumerate(line) if most] == [500 * MAX_BINS // 999]
    link = source.links[MAX_BINS // 2]
    assert link is not None
    assert link[1] == pytest.approx(100.0, abs=0.2)


def test_pictures_show_the_frame_and_mark_the_box(results: Path) -> None:
    report = make_report(results, 5)
    pictures = pictures_of(report.findings)
    assert list(pictures) == [0, 1]
    for place, number in ((0, 12), (1, 9)):
        content = np.frombuffer(pictures[place], np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
        assert picture[5, 5] == pytest.approx(20 + 3 * number, abs=2)
        assert picture[30, 60] > 200, "the box's upper edge is not marked"


def test_a_missing_video_costs_its_picture_only(results: Path) -> None:
    (results / "clip.heatmap.mp4").write_bytes(b"no video")
    report = make_report(results, 5)
    assert list(pictures_of(report.findings)) == [1]
    assert "no picture" in page(report, pictures_of(report.findings), results / "report.html")


def shown(report: Report, folder: Path) -> str:
    return page(report, pictures_of(report.findings), folder / "report.html")


def test_the_page_needs_no_other_file_and_its_links_work(results: Path) -> None:
    text = shown(make_report(results, 5), results)
    assert text.count("data:image/jpeg;base64,") == 2
    assert "<script" not in text
    assert "://" not in re.sub(r"data:[^\"]*", "", text)
    links = re.findall(r'href="([^"#]+)#t=([\d.]+)"', text)
    assert ("clip.heatmap.mp4", "2.40") in links
    assert all((results / unquote(path)).is_file() for path, _ in links)


def test_what_comes_from_outside_is_escaped(results: Path) -> None:
    text = shown(make_report(results, 5), results)
    assert "<b>dog" not in text
    assert "&lt;b&gt;dog" in text
    assert "\x1b" not in text


def test_names_are_quoted_in_links(tmp_path: Path) -> None:
    write_results(tmp_path, [record(n, detection(lift=0.2)) for n in range(5)], name='a "b" #1?')
    links = re.findall(r'href="([^"#]+)#t', shown(make_report(tmp_path, 5), tmp_path))
    assert {unquote(link) for link in links} == {'a "b" #1?.heatmap.mp4'}


def test_results_without_detections_are_told_in_a_sentence(tmp_path: Path) -> None:
    write_results(tmp_path, [record(number) for number in range(5)])
    report = make_report(tmp_path, 5)
    assert remarks(report) == ["Nothing was found in 5 explained frames of 1 source."]
    assert "None." in shown(report, tmp_path)


def test_a_class_that_is_often_off_its_map_is_named(tmp_path: Path) -> None:
    frames = [record(n, detection(lift=0.5 if n % 2 else 3.0), detection("dog")) for n in range(40)]
    write_results(tmp_path, frames, video=False)
    assert "The map often lies elsewhere than the boxes of person (50% of its boxes)." in remarks(
        make_report(tmp_path, 5)
    )


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no results"):
        make_report(tmp_path, 5)
    with pytest.raises(UsageError, match="no such folder"):
        make_report(tmp_path / "nowhere", 5)
