"""Pipes as input: read to the end, interrupted, given up."""

import os
import threading
import time
from itertools import cycle, islice
from pathlib import Path

import pytest

from streamcam.errors import SourceUnavailableError
from streamcam.sources import file as file_module
from streamcam.sources.file import FileSource
from tests.media import number_of, numbered, textured, write_video
from tests.sources.selectors import Everything


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def feeding(
    fifo: Path, data: bytes, *, keep_open: threading.Event | None = None
) -> threading.Thread:
    def feed() -> None:
        with fifo.open("wb") as pipe:
            try:
                pipe.write(data)
                pipe.flush()
                if keep_open is not None:
                    keep_open.wait(10)
            except BrokenPipeError:
                pass

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


def test_a_pipe_is_read_to_its_end(tmp_path: Path, fifo: Path) -> None:
    data = write_video(tmp_path / "clip.ts", numbered(40)).read_bytes()
    writer = feeding(fifo, data)
    source = FileSource(fifo)
    numbers = [number_of(frame.picture) for frame in source.frames(Everything())]
    writer.join()
    assert numbers == list(range(40))
    assert source.info.path is None
    source.close()


def test_a_blocked_read_can_be_interrupted(tmp_path: Path, fifo: Path) -> None:
    """The writer stays silent in the middle of the video: nothing but `interrupt` ends that."""
    data = write_video(tmp_path / "clip.ts", list(islice(cycle(textured(50)), 300))).read_bytes()
    done = threading.Event()
    writer = feeding(fifo, data, keep_open=done)
    source = FileSource(fifo)
    seen: list[int] = []
    reader = threading.Thread(
        target=lambda: seen.extend(frame.index for frame in source.frames(Everything()))
    )
    reader.start()
    time.sleep(1.0)
    assert reader.is_alive()
    assert len(seen) > 0 or source.decoded > 0
    source.interrupt()
    reader.join(2)
    assert not reader.is_alive()
    source.close()
    done.set()
    writer.join()


def test_interrupting_after_the_end_does_nothing(tmp_path: Path, fifo: Path) -> None:
    writer = feeding(fifo, write_video(tmp_path / "clip.ts", numbered(5)).read_bytes())
    source = FileSource(fifo)
    writer.join()
    source.close()
    source.interrupt()
    source.close()


def test_a_silent_pipe_is_given_up(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "PIPE_TIMEOUT", 0.2)
    with pytest.raises(SourceUnavailableError, match=r"does not answer: no data for 0\.2 seconds"):
        FileSource(fifo)
