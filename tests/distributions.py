"""Tiny distributions on the module path, as pip would install them."""

from pathlib import Path


def install(folder: Path, name: str, code: str, entry_points: str) -> None:
    """Write a distribution of one module.

    Args:
        folder: To be put on the module path.
        name: Of the distribution and of its module.
        code: The module.
        entry_points: The content of its `entry_points.txt`.
    """
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
