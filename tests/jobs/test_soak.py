import json
import subprocess
import sys
from pathlib import Path

CLEAN = ("lost", "doubled", "half_written", "strange_files")


def test_killing_a_watcher_at_random_loses_and_doubles_nothing() -> None:
    """The short form of the soak; `python -m benchmarks.soak_watch` kills a hundred times."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.soak_watch",
            "--kills",
            "8",
            "--files",
            "5",
            "--longest",
            "4",
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    figures = json.loads(done.stdout or "{}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(figures[name] == [] for name in CLEAN), figures
    assert figures["broken_stores"] == 0
    assert figures["files"] == 5
