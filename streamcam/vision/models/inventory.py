"""Which models' weights are here, and whether they are whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamcam.errors import WeightsError
from streamcam.vision.models.download import Progress, cached_file, published_file, sha256
from streamcam.vision.models.library import Library
from streamcam.vision.models.names import NANO
from streamcam.vision.models.nano import load_nano
from streamcam.vision.models.registry import NANO_FILE, find_model, model_names


class State(StrEnum):
    """What a look at a model's weights showed."""

    WHOLE = "whole"
    ABSENT = "not here"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at one model's weights showed.

    Attributes:
        name: The model.
        path: Its weights' file, or where it would be.
        state: Whether it is there and whole.
        remark: What is wrong, if anything.
    """

    name: str
    path: Path
    state: State
    remark: str = ""


def weights_file(name: str, library: Library) -> Path:
    """Return where a model's weights are, or would be.

    Raises:
        UsageError: There is no model of that name.
    """
    imported = library.find(name)
    if imported is not None:
        return imported.weights
    spec = find_model(name)
    return NANO_FILE if name == NANO else cached_file(spec.published.url)


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch a model's published weights unless they are here, check them, return their file.

    Raises:
        UsageError: There is no model of that name.
        WeightsUnavailableError: They cannot be fetched.
        WeightsError: The file that is here is damaged.
    """
    spec = find_model(name)
    if name == NANO:
        return NANO_FILE
    return published_file(spec.published.url, name, progress)[0]


def verify(names: Sequence[str], library: Library) -> list[Finding]:
    """Check the weights of these models, or of all that are here, against their checksums.

    Raises:
        UsageError: There is no model of a given name.
    """
    if names:
        return [_verify(name, library) for name in names]
    every = [*model_names(), *(model.name for model in library.models())]
    findings = [_verify(name, library) for name in every]
    return [finding for finding in findings if finding.state is not State.ABSENT]


def _verify(name: str, library: Library) -> Finding:
    path = weights_file(name, library)
    if not path.is_file():
        return Finding(name, path, State.ABSENT)
    try:
        _check(name, path, library)
    except (WeightsError, ValueError) as error:
        return Finding(name, path, State.DAMAGED, str(error))
    return Finding(name, path, State.WHOLE)


def _check(name: str, path: Path, library: Library) -> None:
    imported = library.find(name)
    if imported is not None:
        if sha256(path) != imported.sha256:
            raise WeightsError("its checksum is not the one of the import")
    elif name == NANO:
        load_nano(path)
    else:
        published_file(find_model(name).published.url, name)
