"""The package's shape: file sizes, and names that mean one thing."""

from pathlib import Path

import pytest

import streamcam

PACKAGE = Path(streamcam.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 350
EXEMPT = {"engine.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST or path.name in EXEMPT
