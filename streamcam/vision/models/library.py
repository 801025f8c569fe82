"""Models by name: a user's own, imported once and used like the others, and what is here of all."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from streamcam.errors import UsageError, WeightsError, WeightsMismatchError
from streamcam.vision.models.download import Progress, sha256
from streamcam.vision.models.family import Family, LoadOptions, ModelCard, WeightsChoice
from streamcam.vision.models.imported_model import ImportedModel, read_card, write_card
from streamcam.vision.models.names import CARD, ENTRY_POINTS, default_library
from streamcam.vision.models.onnx_family import OnnxFamily, export_onnx
from streamcam.vision.models.quantized import QuantizedModel
from streamcam.vision.models.registry import families, find_family, model_names

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Library:
    """A folder with a folder for each imported model; it need not exist."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_library()

    def models(self) -> list[ImportedModel]:
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
            return read_card(card)
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
            WeightsError: The file cannot be used.
        """
        self.check_name(name, replace=replace)
        architecture = architecture or recognise(file)
        options = LoadOptions(weights=file, labels=labels)
        loaded = find_family(architecture).load(architecture, options)
        with self._new_folder(name) as part:
            weights = shutil.copyfile(file, part / f"weights{file.suffix}")
            classes = loaded.network.categories
            imported = ImportedModel(name, architecture, weights, sha256(weights), classes, part)
            write_card(part, imported, named=True)
        return self._added(name)

    def add_quantized(
        self, model: ImportedModel, write: Callable[[Path], QuantizedModel], *, named: bool
    ) -> ImportedModel:
        """Keep a model in int8, and with it the weights of its own that it was made of.

        Args:
            model: The float model under the name of the new one, which `check_name` allows.
            write: Writes the int8 model's files into a folder.
            named: Whether its classes are named otherwise than those of its architecture.
        """
        with self._new_folder(model.name) as part:
            if isinstance(model.weights, Path):
                kept = shutil.copyfile(model.weights, part / f"weights{model.weights.suffix}")
                model = replace(model, weights=kept)
            write_card(part, replace(model, quantized=write(part)), named=named)
        return self._added(model.name)

    @contextmanager
    def _new_folder(self, name: str) -> Iterator[Path]:
        """A folder that takes a model's place once it is filled; nothing is left of a failure."""
        part = self.folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            shutil.rmtree(self.folder / name, ignore_errors=True)
            part.rename(self.folder / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _added(self, name: str) -> ImportedModel:
        added = self.find(name)
        assert added is not None
        return added

    def check_name(self, name: str, *, replace: bool) -> None:
        """Refuse a name that a new model cannot have; `replace` allows that of an imported one.

        Raises:
            UsageError: It is no name, or that of another model.
        """
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
        UsageError: It is an ONNX file.
        WeightsMismatchError: It belongs to none, or to several that look the same.
        WeightsError: The file cannot be read.
    """
    if OnnxFamily().has(str(file)):
        raise UsageError(f"{file} needs no import", hint=f"Use it by its path: --model {file}.")
    for family in families():
        fitting = family.recognise(file)
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


@dataclass(frozen=True, slots=True)
class FamilyCard:
    """One detector family in a list of them."""

    name: str
    models: str  # what its models are called, by example
    licence: str  # of the family's code; weights have their own
    module: str  # is installed where the family can be used
    install: str = ""  # the command that installs it; empty for what streamcam requires

    @property
    def present(self) -> bool:
        return find_spec(self.module) is not None


_FAMILIES = (
    FamilyCard("nano", "nano", "MIT", "streamcam"),
    FamilyCard("torchvision", "fasterrcnn_resnet50_fpn", "BSD-3-Clause", "torchvision"),
    FamilyCard(
        "transformers",
        "hf:PekingU/rtdetr_v2_r50vd, ./folder",
        "Apache-2.0",
        "transformers",
        "pip install 'streamcam[transformers]'",
    ),
    FamilyCard("ONNX", "detector.onnx", "MIT", "onnxruntime", "pip install 'streamcam[onnx]'"),
    FamilyCard(
        "Ultralytics",
        "yolo11n.pt",
        "AGPL-3.0",
        "streamcam_ultralytics",
        "pip install streamcam-ultralytics",
    ),
)


def list_families() -> list[FamilyCard]:
    """Every family that is known, installed or not, then those of other distributions."""
    known = {family.module for family in _FAMILIES}
    others = [
        FamilyCard(point.name, point.name, "", point.module.partition(".")[0])
        for point in entry_points(group=ENTRY_POINTS)
        if point.module.partition(".")[0] not in known
    ]
    return [*_FAMILIES, *others]


def list_models(library: Library) -> list[ModelCard]:
    """Every detector: built in, published, of plug-ins, then imported."""
    ours = [_card(family, name) for family in families() for name in family.names()]
    return ours + [_imported_card(model) for model in library.models()]


def _card(family: Family, name: str) -> ModelCard:
    card = family.card(name)
    return card if card.origin else replace(card, origin=name.partition(":")[0])


def _imported_card(model: ImportedModel) -> ModelCard:
    card = _architecture_card(model.architecture)
    own = replace(card, name=model.name, classes=len(model.classes), box_map=None)
    if model.weights is not None:
        own = replace(own, licence="your own")
    if model.quantized is not None:
        return replace(
            own,
            size_mb=round(model.quantized.size / 1e6, 1),
            origin=f"int8 of {model.architecture}",
            present=model.quantized.present and card.present,
        )
    present = model.file is not None and model.file.is_file()
    return replace(
        own,
        size_mb=round(model.file.stat().st_size / 1e6, 1) if model.file and present else 0.0,
        origin=f"imported {model.architecture}",
        present=present,
    )


def _architecture_card(name: str) -> ModelCard:
    """The card of what an imported model is; of a file or a folder that is gone as well."""
    try:
        return find_family(name).card(name)
    except UsageError:
        return ModelCard(name=name, present=False)


class WeightsState(StrEnum):
    WHOLE = "whole"
    ABSENT = "not here"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class WeightsCheck:
    """What checking one model's weights showed, and what is wrong, if anything."""

    name: str
    path: Path | None  # of the file, or where it would be; None where there is none
    state: WeightsState
    remark: str = ""


def weights_file(name: str, library: Library) -> Path | None:
    """Where a model's weights are, or would be; None without a file. Raises as `find_family`."""
    imported = library.find(name)
    return find_family(name).weights_file(name) if imported is None else imported.file


def pull(name: str, progress: Progress | None = None) -> Path | None:
    """Fetch a model's published weights as `Family.fetch` does. Raises as `find_family` too."""
    return find_family(name).fetch(name, progress)


def export(
    name: str,
    target: Path,
    library: Library,
    weights: str | None = None,
    labels: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a model as an ONNX file.

    Args:
        name: Of a built-in, published or imported model.
        target: The file.
        library: Of the imported models.
        weights: A checkpoint, "random", or None for the model's own.
        labels: Names of the classes of these weights.
        progress: Called with the bytes of weights that are fetched.

    Raises:
        UsageError: There is no such model, or it cannot be exported.
        WeightsError: Its weights cannot be used.
        SinkError: The file cannot be written.
    """
    imported = library.find(name)
    own: WeightsChoice = None
    if weights is not None:
        own = "random" if weights == "random" else Path(weights)
    options = LoadOptions(weights=own, labels=labels, progress=progress)
    if imported is not None and own is None:
        options = replace(options, weights=imported.weights, labels=labels or imported.labels)
    architecture = name if imported is None else imported.architecture
    return export_onnx(architecture, find_family(architecture), target, options)


def verify(names: Sequence[str], library: Library) -> list[WeightsCheck]:
    """Check the checksums of these models, or of all that are here. Raises as `find_family`."""
    if names:
        return [_verify(name, library) for name in names]
    every = [*model_names(), *(model.name for model in library.models())]
    checks = [_verify(name, library) for name in every]
    return [check for check in checks if check.state is not WeightsState.ABSENT]


def _verify(name: str, library: Library) -> WeightsCheck:
    path = weights_file(name, library)
    if path is None:
        return WeightsCheck(name, path, WeightsState.WHOLE, "needs no weights file")
    if not path.is_file():
        return WeightsCheck(name, path, WeightsState.ABSENT)
    imported = library.find(name)
    try:
        if imported is None:
            pull(name)
        else:
            imported.check()
    except WeightsError as error:
        return WeightsCheck(name, path, WeightsState.DAMAGED, str(error))
    return WeightsCheck(name, path, WeightsState.WHOLE)
