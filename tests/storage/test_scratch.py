"""Folders for results on their way: removed at the end, and after a kill by the next process."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import environment

PROGRAM = """
import sys
from streamcam.storage.scratch import scratch_folder
folder = scratch_folder()
assert scratch_folder() == folder
(folder / "video.mp4").write_bytes(b"half")
print(folder, flush=True)
sys.stdin.read()
"""


def start(above: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment(TMPDIR=str(above)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_scratch_folder_ends_with_its_process_or_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    killed, left = start(tmp_path)
    running, used = start(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert left.exists()
    third, own = start(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"other", used.name, own.name}
    for process in (running, third):
        process.communicate()
        assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
