import os
import shutil
from pathlib import Path

from streamcam.files import existing_ancestor, free_space, readable


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert readable(os.fsdecode(b"caf\xe9")) == "caf\N{REPLACEMENT CHARACTER}"
    assert readable(Path("plain")) == "plain"


def test_free_space_of_a_missing_folder_is_that_of_the_disk_it_would_be_on(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there"
    assert existing_ancestor(missing) == tmp_path
    free = shutil.disk_usage(tmp_path).free
    assert abs(free_space(missing) - free) < free / 2
