"""One of several equal parts of a run's sources, for as many machines, none of which knows another.

A machine is told its own part only, `3/64` on the command line, or by the scheduler that started
it: Kubernetes' indexed jobs and Slurm's job arrays set variables of the environment.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from streamcam.errors import UsageError
from streamcam.sources.inputs import Entry

KUBERNETES_INDEX = "JOB_COMPLETION_INDEX"
SLURM_INDEX = "SLURM_ARRAY_TASK_ID"
_SLURM_FIRST, _SLURM_LAST, _SLURM_COUNT, _SLURM_STEP = (
    f"SLURM_ARRAY_TASK_{name}" for name in ("MIN", "MAX", "COUNT", "STEP")
)

_AUTO = "auto"
_DIGEST_BYTES = 8
_FORM = "--shard is the number of the part and the number of parts, such as 3/64."


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the sources: each source is in one of `count` parts.

    Attributes:
        number: 1 to `count`, as in `split --number 3/64` and test runners' `--shard 3/64`.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> Self:
        """Read `3/64`, `auto/64` (the number is the scheduler's) or `auto` (Slurm tells both).

        Raises:
            UsageError: It is none of these, or the environment does not tell what it must.
        """
        number, slash, count = text.partition("/")
        if number != _AUTO:
            return cls._of(_whole(number, text), _whole(count, text))
        if slash:
            parts = _whole(count, text)
            return cls._of(_scheduled_number(environment, parts), parts)
        if SLURM_INDEX not in environment:
            raise UsageError(
                f"--shard {_AUTO}: {SLURM_INDEX} is not set, so the number of parts is not known",
                hint=f"Kubernetes does not tell it: --shard {_AUTO}/64, with `completions: 64`.",
            )
        return cls._of(*_slurm_place(environment))

    @classmethod
    def _of(cls, number: int, count: int) -> Self:
        if not 1 <= number <= count:
            hint = f"Parts are counted from 1: 1/{count} to {count}/{count}." if count else _FORM
            raise UsageError(f"--shard {number}/{count}: there is no such part", hint=hint)
        return cls(number, count)

    def holds(self, name: str) -> bool:
        """Whether the source whose results have this name is in this part.

        The first 64 bits of the name's BLAKE2b digest, big-endian, modulo the number of parts, are
        the part's number less one: the same on every machine, version and path of the sources.
        """
        encoded = name.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).digest()
        return int.from_bytes(digest) % self.count == self.number - 1

    def select(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield this part's entries in their order."""
        return (entry for entry in entries if self.holds(entry.stem))


def _whole(digits: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", digits):
        raise UsageError(f"--shard {text}: is not a part", hint=_FORM)
    return int(digits)


def _scheduled_number(environment: Mapping[str, str], count: int) -> int:
    """Return the number of the part that a scheduler gave this process, from 1."""
    if SLURM_INDEX in environment:
        number, size = _slurm_place(environment)
        if size != count:
            raise UsageError(
                f"--shard {_AUTO}/{count}: the job array has {size} tasks",
                hint=f"Every part needs a task; to do one part again: --shard 3/{count}.",
            )
        return number
    if KUBERNETES_INDEX in environment:
        return _variable(environment, KUBERNETES_INDEX) + 1
    raise UsageError(
        f"--shard {_AUTO}/{count}: neither {KUBERNETES_INDEX} nor {SLURM_INDEX} is set",
        hint=f"Only Kubernetes' indexed jobs and Slurm's arrays set them. Else: --shard 1/{count}.",
    )


def _slurm_place(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return the place of this task in its array, from 1, and the number of tasks.

    The array may begin anywhere and have a step (`--array=10-70:20`), but no gaps.
    """
    names = (SLURM_INDEX, _SLURM_COUNT, _SLURM_FIRST, _SLURM_LAST)
    index, count, first, last = (_variable(environment, name) for name in names)
    step = _variable(environment, _SLURM_STEP) if _SLURM_STEP in environment else 1
    if step < 1 or first + (count - 1) * step != last:
        raise UsageError(
            f"--shard {_AUTO}: the job array has gaps, so a task's place in it is not known",
            hint="Give it as one range, such as --array=1-64.",
        )
    return (index - first) // step + 1, count


def _variable(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"--shard {_AUTO}: {name} is {text!r}, not a number")
    return int(text)
