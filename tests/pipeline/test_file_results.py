"""Results go to every sink, tracked and drawn; one that fails does not cost those of the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamcam.errors import SinkError
from streamcam.pipeline.file_results import Delivery
from streamcam.sinks.base import Sink, SinkSettings
from streamcam.sinks.records import JsonlSink
from streamcam.tracking.tracker import Tracker
from streamcam.types import FrameResult, Item, Picture
from tests.sinks.items import explained, frame, picture


class PictureSink(Sink[SinkSettings]):
    """Needs the annotated pictures, and keeps none."""

    needs_picture = True

    def write(self, item: Item, picture: Picture | None) -> None:  # noqa: ARG002
        assert picture is not None

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class FailingSink(Sink[SinkSettings]):
    """Fails at its end, and when it is aborted."""

    def __init__(self, error: Exception) -> None:
        self.error_raised = error

    def write(self, item: Item, picture: Picture | None) -> None:
        """Take everything."""

    def finish(self) -> None:
        raise self.error_raised

    def abort(self) -> None:
        raise self.error_raised


def delivery(*sinks: Sink[Any]) -> Delivery:
    return Delivery(sinks, lambda _: picture(0))


@pytest.mark.parametrize("error", [SinkError("no room"), ValueError("odd")])
def test_the_other_sinks_are_published(error: Exception, tmp_path: Path) -> None:
    records = tmp_path / "a.jsonl"
    made = delivery(FailingSink(error), JsonlSink(records))
    made.write(explained(frame(0)))
    with pytest.raises(type(error)) as raised:
        made.finish()
    assert raised.value is error
    assert records.exists()


@pytest.mark.parametrize("error", [SinkError("no room"), ValueError("odd")])
def test_the_other_sinks_are_aborted(error: Exception, tmp_path: Path) -> None:
    made = delivery(FailingSink(error), JsonlSink(tmp_path / "a.jsonl"))
    made.write(explained(frame(0)))
    made.abort()
    assert list(tmp_path.iterdir()) == []


def test_objects_are_tracked_before_sinks_and_drawing(tmp_path: Path) -> None:
    drawn: list[Item] = []

    def draw(item: Item) -> Picture:
        drawn.append(item)
        return picture(0)

    made = Delivery([JsonlSink(tmp_path / "a.jsonl"), PictureSink()], draw, Tracker(3.0))
    for item in (explained(frame(0)), frame(1, sampled=False), explained(frame(2))):
        made.write(item)
    made.finish()
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [record["detections"][0]["track_id"] for record in records] == [1, 1]
    shown = [each for each in drawn if isinstance(each, FrameResult)]
    assert [each.detections[0].track_id for each in shown] == [1, 1]
    assert len(drawn) == 3


def test_frames_between_explained_ones_are_not_counted(tmp_path: Path) -> None:
    made = delivery(JsonlSink(tmp_path / "a.jsonl"))
    for item in (explained(frame(0)), frame(1, sampled=False), explained(frame(2))):
        made.write(item)
    assert made.finish() == {"records": tmp_path / "a.jsonl"}
    assert (made.explained, made.detections["person"]) == (2, 2)
    assert made.seconds == pytest.approx(0.08)
