"""A user's own models: imported once, checked, then used by a name like the others."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from streamcam.errors import UsageError, WeightsError, WeightsMismatchError
from streamcam.vision.models.checkpoints import State, read_state
from streamcam.vision.models.download import sha256
from streamcam.vision.models.names import CARD, NANO, default_library
from streamcam.vision.models.nano import NANO_ARCHITECTURE
from streamcam.vision.models.registry import find_model, model_names
from streamcam.vision.models.weights import load_detector

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

# Counters that BatchNorm keeps and FrozenBatchNorm does not; they tell nothing about the network.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One model in the library.

    Attributes:
        name: As the user writes it.
        architecture: Name of the detector that its weights belong to.
        weights: The weights' file.
        sha256: Of that file when it was imported.
        classes: Names by class id.
    """

    name: str
    architecture: str
    weights: Path
    sha256: str
    classes: Mapping[int, str]

    @property
    def labels(self) -> Path:
        """File with the names of the classes."""
        return self.weights.with_name("labels.json")


class Library:
    """A folder with a folder for each imported model.

    Args:
        folder: Where it is; it need not exist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_library()

    def models(self) -> list[ImportedModel]:
        """Return all imported models, by name."""
        found = [self.find(card.parent.name) for card in sorted(self.folder.glob(f"*/{CARD}"))]
        return [model for model in found if model is not None]

    def find(self, name: str) -> ImportedModel | None:
        """Return the model of that name; None where there is none.

        Raises:
            WeightsError: Its card cannot be read.
        """
        card = self.folder / name / CARD
        if not _NAME.fullmatch(name) or not card.is_file():
            return None
        try:
            content = json.loads(card.read_text(encoding="utf-8"))
            return ImportedModel(
                name=name,
                architecture=content["architecture"],
                weights=card.with_name(content["weights"]),
                sha256=content["sha256"],
                classes={int(key): label for key, label in content["classes"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"the imported model {name} is damaged: {error}", hint="Import it again."
            ) from error

    def add(
        self,
        file: Path,
        name: str,
        *,
        labels: Path | None = None,
        architecture: str | None = None,
        replace: bool = False,
    ) -> ImportedModel:
        """Check a checkpoint by loading it, and keep a copy of it under a name.

        Args:
            file: A torchvision checkpoint (.pt, .pth, .safetensors), or one of nano.
            name: Small letters, digits, `.`, `_`, `-`.
            labels: Names of its classes: one a line, or JSON.
            architecture: Which detector it belongs to; None to recognise it.
            replace: Take the place of a model of the same name.

        Raises:
            UsageError: The name cannot be used.
            WeightsError: The file cannot be used; the message tells why.
        """
        self._check_name(name, replace=replace)
        architecture = architecture or recognise(file)
        loaded = load_detector(find_model(architecture), file, labels)
        part = self.folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            weights = shutil.copyfile(file, part / f"weights{file.suffix}")
            classes = {str(number): label for number, label in loaded.classes.items()}
            card = {
                "architecture": architecture,
                "weights": weights.name,
                "sha256": sha256(weights),
                "classes": classes,
            }
            (part / "labels.json").write_text(json.dumps(classes), encoding="utf-8")
            (part / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
            shutil.rmtree(self.folder / name, ignore_errors=True)
            part.rename(self.folder / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        added = self.find(name)
        assert added is not None
        return added

    def _check_name(self, name: str, *, replace: bool) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a model's name",
                hint="Use up to 64 small letters, digits, dots, dashes and underscores.",
            )
        if name in model_names():
            raise UsageError(f"{name} is the name of a detector already", hint="Choose another.")
        if (self.folder / name).exists() and not replace:
            raise UsageError(
                f"there is an imported model named {name}", hint="--overwrite replaces it."
            )


def recognise(file: Path) -> str:
    """Return the name of the detector that a checkpoint belongs to, known by its tensors' names.

    Raises:
        WeightsMismatchError: It belongs to none, or to several that look the same.
        WeightsError: The file cannot be read.
    """
    if _is_nano(file):
        return NANO
    keys = _telling(read_state(file))
    fitting = [name for name in model_names() if name != NANO and _keys(name) == keys]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise WeightsMismatchError(
            f"{file} may belong to {' or '.join(fitting)}", hint="Tell which: --architecture."
        )
    raise WeightsMismatchError(
        f"{file} belongs to none of the detectors that streamcam knows",
        hint="It must be the state_dict of a detector of torchvision.models.detection.",
    )


def _is_nano(file: Path) -> bool:
    if file.suffix != ".safetensors" or not file.is_file():
        return False
    try:
        with safe_open(file, framework="pt") as content:
            return (content.metadata() or {}).get("architecture") == NANO_ARCHITECTURE
    except Exception:  # noqa: BLE001 - whatever is wrong with it, reading it next will say so
        return False


def _keys(name: str) -> set[str]:
    """Return the names of a detector's tensors, without memory for the tensors."""
    with torch.device("meta"):
        return _telling(find_model(name).build().state_dict())


def _telling(state: State) -> set[str]:
    return {key for key in state if not key.endswith(_COUNTER)}
