"""What has a baseline of its own in a folder of results: each camera, and the files of a folder."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from streamcam.drift.readings import Reading, Window, WindowMaker, read
from streamcam.report.results import RecordedClip, ResultSource, find_sources, read_records

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Group:
    """A camera, or the files of a folder, which follow one another as one footage.

    Attributes:
        name: The camera's, or the folder below that of the results: "." for itself.
        sources: The camera alone, or the files by name.
    """

    name: str
    is_camera: bool
    sources: Sequence[ResultSource]


@dataclass(frozen=True, slots=True)
class GroupWindows:
    """The windows of a group in the order of time.

    Attributes:
        starts: Of files: where each begins in the group's footage, in seconds.
    """

    group: Group
    windows: Sequence[Window]
    starts: Sequence[float] = ()

    def place(self, seconds: float) -> str:
        """Return a time for people: "Tue 2025-03-04 14:10 UTC", or "clip 1:20" of files."""
        if not self.starts:
            return moment_text(seconds)
        number = bisect_right(self.starts, seconds) - 1
        minutes, rest = divmod(round(seconds - self.starts[number]), 60)
        return f"{self.group.sources[number].name} {minutes}:{rest:02}"


def find_groups(folder: Path) -> list[Group]:
    """Return the groups of a folder of results, by name."""
    files: dict[str, list[ResultSource]] = {}
    groups = []
    for source in find_sources(folder):
        if all(clip.time_base is None for clip in source.clips):
            groups.append(Group(source.name, True, [source]))
        else:
            files.setdefault(str(PurePosixPath(source.name).parent), []).append(source)
    groups += [Group(name, False, sources) for name, sources in files.items()]
    return sorted(groups, key=lambda group: group.name)


def windows_of(
    group: Group,
    length: float,
    period: tuple[float | None, float | None] = (None, None),
    progress: Progress = lambda *_: None,
) -> GroupWindows:
    """Read a group's records and average them over windows.

    Args:
        group: What is read.
        length: Of the windows, in seconds.
        period: Of cameras, bounds of the records' times in seconds since 1970, None for none.
        progress: Called with the group's name, and how many of how many files are read.
    """
    if not group.is_camera:
        return _file_windows(group, length, progress)
    clips = group.sources[0].clips
    begin = -math.inf if period[0] is None else period[0]
    end = math.inf if period[1] is None else period[1]
    maker, found = WindowMaker(length), []
    for number, clip in enumerate(clips):
        progress(group.name, number, len(clips))
        wanted = (each for each in _readings(clip) if begin <= each.time < end)
        found += [maker.add(reading) for reading in wanted]
    found.append(maker.end())
    known = [window for window in found if window is not None]
    return GroupWindows(group, sorted(known, key=lambda window: window.begin))


def _file_windows(group: Group, length: float, progress: Progress) -> GroupWindows:
    """Windows of files begin anew with each, and never span two."""
    found: list[Window] = []
    starts: list[float] = []
    offset = 0.0
    for number, source in enumerate(group.sources):
        progress(group.name, number, len(group.sources))
        starts.append(offset)
        maker, own = WindowMaker(length), []
        for clip in source.clips:
            own += [maker.add(reading) for reading in _readings(clip)]
        own.append(maker.end())
        for window in own:
            if window is not None:
                begin = offset + window.begin
                found.append(Window(begin, window.frames, window.means, window.cells))
        offset = found[-1].begin + length if found else offset
    return GroupWindows(group, found, starts)


def _readings(clip: RecordedClip) -> Iterator[Reading]:
    for record in read_records(clip):
        try:
            yield read(record)
        except (KeyError, TypeError, ValueError):  # lines of other programs
            continue


def moment_text(seconds: float) -> str:
    """Return a time in seconds since 1970 for people, e.g. "Tue 2025-03-04 14:10 UTC"."""
    return f"{datetime.fromtimestamp(seconds, UTC):%a %Y-%m-%d %H:%M} UTC"
