import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import av
import av.error
import pytest

from streamcam.errors import (
    CorruptMediaError,
    DiskFullError,
    NotMediaError,
    SinkError,
    SourceError,
    SourceUnavailableError,
    StreamcamError,
)
from streamcam.media_errors import FOREIGN, opening, reading, writing

Manager = Callable[[str], AbstractContextManager[None]]

FFMPEG_ERRORS = sorted(
    {
        kind
        for kind in vars(av.error).values()
        if isinstance(kind, type) and issubclass(kind, av.error.FFmpegError)
    }
    - {av.error.FFmpegError},
    key=lambda kind: kind.__name__,
)


def raised(manager: Manager, error: Exception) -> StreamcamError:
    with pytest.raises(StreamcamError) as caught, manager("clip.mp4"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize("kind", FFMPEG_ERRORS, ids=lambda kind: kind.__name__)
def test_no_error_of_pyav_is_unmapped(kind: type[av.error.FFmpegError]) -> None:
    assert issubclass(kind, FOREIGN)
    error = kind(errno.EIO, "it broke")
    assert isinstance(raised(opening, error), SourceError)
    assert isinstance(raised(reading, error), SourceError)
    assert isinstance(raised(writing, error), SinkError)


def test_the_list_of_errors_is_not_empty() -> None:
    assert len(FFMPEG_ERRORS) > 30


@pytest.mark.parametrize(
    ("manager", "error", "kind"),
    [
        (opening, FileNotFoundError(errno.ENOENT, "gone"), SourceUnavailableError),
        (opening, PermissionError(errno.EACCES, "no"), SourceUnavailableError),
        (opening, av.error.InvalidDataError(1, "bad"), NotMediaError),
        (reading, av.error.InvalidDataError(1, "bad"), CorruptMediaError),
        (reading, OSError(errno.EIO, "bad disk"), SourceUnavailableError),
        (reading, av.error.HTTPNotFoundError(1, "404"), SourceUnavailableError),
        (writing, OSError(errno.ENOSPC, "full"), DiskFullError),
        (writing, av.error.OSError(errno.ENOSPC, "full"), DiskFullError),
        (writing, av.error.InvalidDataError(1, "bad"), SinkError),
    ],
)
def test_kinds(manager: Manager, error: Exception, kind: type[StreamcamError]) -> None:
    assert type(raised(manager, error)) is kind


def test_messages_are_one_line_and_name_the_file() -> None:
    error = raised(opening, av.error.InvalidDataError(1, "bad\nthing"))
    assert "clip.mp4" in error.message
    assert "\n" not in error.message
    assert error.hint


def test_our_own_errors_and_bugs_pass_through() -> None:
    with pytest.raises(NotMediaError, match="own"), opening("clip.mp4"):
        raise NotMediaError("own")
    with pytest.raises(KeyError), opening("clip.mp4"):
        raise KeyError("bug")


def test_nothing_of_ffmpeg_reaches_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(200))
    with pytest.raises(NotMediaError), opening("broken.mp4"):
        av.open(str(broken))
    assert capfd.readouterr() == ("", "")
