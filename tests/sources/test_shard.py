"""Parts of the sources: which ones a machine gets, and what it is told by its scheduler."""

from collections import Counter
from pathlib import Path

import pytest

from streamcam.errors import UsageError
from streamcam.sources.inputs import expand
from streamcam.sources.shard import Shard

SLURM = {
    "SLURM_ARRAY_TASK_ID": "30",
    "SLURM_ARRAY_TASK_MIN": "10",
    "SLURM_ARRAY_TASK_MAX": "70",
    "SLURM_ARRAY_TASK_STEP": "20",
    "SLURM_ARRAY_TASK_COUNT": "4",
}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("1/1", {}, Shard(1, 1)),
        ("3/64", SLURM, Shard(3, 64)),
        ("auto", SLURM, Shard(2, 4)),
        ("auto/4", SLURM, Shard(2, 4)),
        ("auto/64", {"JOB_COMPLETION_INDEX": "0"}, Shard(1, 64)),
        ("auto/64", {"JOB_COMPLETION_INDEX": "63"}, Shard(64, 64)),
    ],
)
def test_forms(text: str, environment: dict[str, str], expected: Shard) -> None:
    assert Shard.parse(text, environment) == expected


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("0/64", {}, "there is no such part"),
        ("65/64", {}, "there is no such part"),
        ("3/0", {}, "there is no such part"),
        ("3", {}, "is not a part"),
        ("/64", {}, "is not a part"),
        ("-1/64", {}, "is not a part"),
        ("auto/many", {}, "is not a part"),
        ("auto", {}, "SLURM_ARRAY_TASK_ID is not set"),
        ("auto", {"JOB_COMPLETION_INDEX": "3"}, "SLURM_ARRAY_TASK_ID is not set"),
        ("auto/64", {}, "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID"),
        ("auto/64", {"JOB_COMPLETION_INDEX": "64"}, "--shard 65/64: there is no such part"),
        ("auto/64", {"JOB_COMPLETION_INDEX": "x"}, "is 'x', not a number"),
        ("auto/64", SLURM, "the job array has 4 tasks"),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_MAX": "90"}, "has gaps"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is '', not a number"),
    ],
)
def test_what_is_no_part_is_refused(text: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Shard.parse(text, environment)
    assert caught.value.hint is None or caught.value.hint.endswith(".")


@pytest.mark.parametrize(
    ("name", "number"), [("clip", 20), ("dir/clip", 21), ("Straße 1", 8), ("na\udcefve", 13)]
)
def test_the_part_of_a_name_never_changes(name: str, number: int) -> None:
    """Machines with other versions of streamcam must agree."""
    assert [part for part in range(1, 65) if Shard(part, 64).holds(name)] == [number]


def test_every_source_is_in_one_part_and_parts_are_alike() -> None:
    names = [f"2024-05-01/camera{number % 7}/{number:06}" for number in range(6400)]
    shards = [Shard(number, 64) for number in range(1, 65)]
    sizes = Counter(number for name in names for number in range(64) if shards[number].holds(name))
    assert sizes.total() == len(names)
    assert len(sizes) == 64
    # Poisson: the standard deviation is 10; five of them.
    assert max(abs(size - 100) for size in sizes.values()) < 50


def test_parts_do_not_depend_on_where_the_sources_are_mounted(tmp_path: Path) -> None:
    parts = []
    for mount in ("nfs", "data/archive"):
        for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/1.jpg", "b/3.mp4"):
            path = tmp_path / mount / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        entries = expand([str(tmp_path / mount)])
        parts.append([[e.stem for e in Shard(n, 3).select(entries)] for n in (1, 2, 3)])
    assert parts[0] == parts[1]
    assert sum(map(len, parts[0])) == 5
