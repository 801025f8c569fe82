import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.jobs.identity import identity_of, is_being_written

MEGABYTE = 1 << 20


def fingerprint(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return identity_of(path).fingerprint


@pytest.mark.parametrize("size", [0, 1, 65536, MEGABYTE, MEGABYTE + 1, 5 * MEGABYTE])
def test_fingerprint_tells_lengths_ends_and_middles_apart(tmp_path: Path, size: int) -> None:
    content = bytes(size)
    same, *others = [
        fingerprint(tmp_path / "a", changed)
        for changed in (
            content,
            content + b"\0",
            *((b"x" + content[1:], content[:-1] + b"x") if size else ()),
        )
    ]
    assert fingerprint(tmp_path / "b", content) == same
    assert same not in others


def test_fingerprint_reads_no_more_than_a_megabyte_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert identity_of(path).stat.size == 1 << 40


def test_stat_of_identity_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    stat = identity_of(path).stat
    assert (stat.size, stat.mtime_ns, stat.inode) == (
        *(3, path.stat().st_mtime_ns, path.stat().st_ino),
    )


def test_writers_are_seen_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(b"half")
        if is_being_written(path) is None:
            pytest.skip(f"no leases on the file system of {tmp_path}")
        assert is_being_written(path)
    with path.open("rb"):
        assert is_being_written(path) is False
    with path.open("ab"):
        assert is_being_written(path)
    os.link(path, tmp_path / "b")
    with path.open("ab"):
        assert is_being_written(tmp_path / "b")


def test_a_writer_that_meets_the_check_harms_nobody(tmp_path: Path) -> None:
    """The lease is announced by a signal; it must not be one that ends the process."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from streamcam.jobs.identity import is_being_written\n"
        "end = time.monotonic() + 1.0\n"
        "while time.monotonic() < end: is_being_written(Path(sys.argv[1]))\n"
    )
    checker = subprocess.Popen([sys.executable, "-c", code, str(path)])
    writes = 0
    while checker.poll() is None:
        with path.open("ab"):
            writes += 1
    assert checker.returncode == 0
    assert writes > 100
