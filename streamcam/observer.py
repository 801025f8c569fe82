"""The observer that files, cameras and downloads report to, and one for several of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamcam.types import CameraStatus, FrameResult, Item, JobReport, SourceInfo

if TYPE_CHECKING:
    from streamcam.events.event import EventChange


class Observer:
    """Receives events; subclasses override those that they need.

    Methods are called from several threads, on the path of the frames: they must be quick and must
    not raise.
    """

    def file_started(self, info: SourceInfo) -> None:
        """A file was opened."""

    def file_remarked(self, source: str, remark: str) -> None:
        """Something about a file that people may want to know, e.g. why it is explained again."""

    def item_written(self, source: str, item: Item) -> None:
        """A frame of the file was written; a `FrameResult` if it was explained."""

    def file_ended(self, report: JobReport) -> None:
        """The work on a file ended, with results or without."""

    def camera_changed(self, status: CameraStatus) -> None:
        """A camera changed its state."""

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        """A camera's frame was explained, `latency` seconds after its data arrived."""

    def event_changed(self, change: "EventChange") -> None:
        """An event of a camera or a file began, changed or ended."""

    def stage_measured(self, stage: str, seconds: float) -> None:
        """A camera's frame spent `seconds` in a stage; the stage "engine" counts batches."""

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        """Of a download, `done` bytes are here; `total` is None where it is unknown."""

    def notice(self, line: str) -> None:
        """Something happened that people should know."""


class Observers(Observer):
    """Passes everything on to several observers, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def file_started(self, info: SourceInfo) -> None:
        for observer in self._observers:
            observer.file_started(info)

    def file_remarked(self, source: str, remark: str) -> None:
        for observer in self._observers:
            observer.file_remarked(source, remark)

    def item_written(self, source: str, item: Item) -> None:
        for observer in self._observers:
            observer.item_written(source, item)

    def file_ended(self, report: JobReport) -> None:
        for observer in self._observers:
            observer.file_ended(report)

    def camera_changed(self, status: CameraStatus) -> None:
        for observer in self._observers:
            observer.camera_changed(status)

    def camera_frame(self, result: FrameResult, latency: float) -> None:
        for observer in self._observers:
            observer.camera_frame(result, latency)

    def event_changed(self, change: "EventChange") -> None:
        for observer in self._observers:
            observer.event_changed(change)

    def stage_measured(self, stage: str, seconds: float) -> None:
        for observer in self._observers:
            observer.stage_measured(stage, seconds)

    def download_progressed(self, name: str, done: int, total: int | None) -> None:
        for observer in self._observers:
            observer.download_progressed(name, done, total)

    def notice(self, line: str) -> None:
        for observer in self._observers:
            observer.notice(line)
