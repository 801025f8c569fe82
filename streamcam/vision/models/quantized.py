"""Detectors in int8: the files that OpenVINO runs, and what they were made of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from streamcam.errors import WeightsError
from streamcam.vision.models.names import NANO, NANO_FILE

NANO_INT8 = NANO_FILE.with_name("nano.int8.json")
"""The card of the built-in detector in int8, which lies beside its graph and weights."""


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """A detector's convolutions with the ranges that int8 stands for, as an OpenVINO model.

    Attributes:
        graph: The `.xml` file; its weights lie beside it, in the `.bin` file of the same name.
        sha256: Of the two, one after the other.
        lineage: What it was made of, as plain JSON values: see `lineage_of`.
    """

    graph: Path
    sha256: str
    lineage: Mapping[str, Any]

    @classmethod
    def of(cls, facts: Mapping[str, Any], folder: Path) -> Self:
        """Read what `facts` wrote; raises `KeyError` and `TypeError` for anything else."""
        return cls(folder / facts["graph"], facts["sha256"], facts["lineage"])

    @property
    def facts(self) -> dict[str, Any]:
        return {"graph": self.graph.name, "sha256": self.sha256, "lineage": dict(self.lineage)}

    @property
    def files(self) -> tuple[Path, Path]:
        return self.graph, self.graph.with_suffix(".bin")

    @property
    def present(self) -> bool:
        return all(file.is_file() for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of both files, as far as they are here."""
        return sum(file.stat().st_size for file in self.files if file.is_file())

    @property
    def source_sha256(self) -> str | None:
        """Digest of the float weights that it was made of; None for random ones."""
        digest: str | None = self.lineage["source"]["sha256"]
        return digest

    def check(self) -> None:
        """Compare the files with their checksum.

        Raises:
            WeightsError: They are missing or damaged.
        """
        if not self.present or digest_of(self.files) != self.sha256:
            raise WeightsError(
                f"the int8 model {self.graph} is damaged",
                hint="Quantize it again, or install streamcam again if it is the built-in one.",
            )


def nano_int8() -> QuantizedModel | None:
    """The built-in detector in int8; None where this installation lacks it.

    Raises:
        WeightsError: Its card cannot be read.
    """
    if not NANO_INT8.is_file():
        return None
    try:
        facts = json.loads(NANO_INT8.read_text(encoding="utf-8"))
        return QuantizedModel.of(facts, NANO_INT8.parent)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"the card of the int8 model of {NANO} is damaged: {error}",
            hint="Install streamcam again.",
        ) from error


def digest_of(files: tuple[Path, ...]) -> str:
    """The SHA-256 of files' contents, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
