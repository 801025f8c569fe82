"""The package's shape: sizes of files, and names that mean one thing."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import streamcam

PACKAGE = Path(streamcam.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 350
SHORTEST = 40
"""Lines under which a module with a single user belongs into that user."""

CONVENTIONAL = {"__init__", "base", "registry"}
"""Module names that may stand in several packages."""


def name_of(path: Path) -> str:
    """Return a module's dotted name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
TESTS = {
    str(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parent.rglob("*.py"))
}


def imported(tree: ast.Module) -> set[str]:
    """Return the modules of the package that a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & TREES.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST


def test_no_two_classes_share_a_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, tree in (TREES | TESTS).items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    shared = {name: where for name, where in places.items() if len(where) > 1}
    assert not shared


def test_no_two_modules_share_a_name() -> None:
    counts = Counter(path.stem for path in MODULES)
    shared = {name for name, count in counts.items() if count > 1} - CONVENTIONAL
    assert not shared


def test_no_small_module_has_a_single_user() -> None:
    users: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in TREES.items():
        for used in imported(tree):
            users[used].add(module)
    small = {
        name_of(path)
        for path in MODULES
        if path.stem != "__init__" and len(path.read_text(encoding="utf-8").splitlines()) < SHORTEST
    }
    assert not {name for name in small if len(users[name]) == 1}


ROOT = PACKAGE.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FILES = {path.relative_to(ROOT) for path in ROOT.rglob("*.py") if ".venv" not in path.parts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_exist(page: Path) -> None:
    """Of a path its end has to be right: `sources/file.py` is in the package."""
    named = set(re.findall(r"`([\w/-]+\.py)`", page.read_text(encoding="utf-8")))
    lost = [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in FILES)]
    assert not lost
