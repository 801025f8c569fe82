"""A model in the library: what its card says of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamcam.errors import WeightsError
from streamcam.vision.models.download import sha256
from streamcam.vision.models.family import WeightsChoice
from streamcam.vision.models.names import CARD
from streamcam.vision.models.quantized import QuantizedModel

_LABELS = "labels.json"


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One model in the library."""

    name: str
    architecture: str  # name of the detector that its weights belong to
    weights: WeightsChoice  # those of `architecture` where there is none of its own
    sha256: str | None  # of the weights' file when it was imported; None for random ones
    classes: Mapping[int, str]  # names by class id
    folder: Path
    layer: Sequence[str] = ()  # as these two were given, see `LoadOptions`
    layout: str = "auto"
    quantized: QuantizedModel | None = None

    @property
    def labels(self) -> Path | None:
        """The names of its classes, where they are not those of `architecture`."""
        labels = self.folder / _LABELS
        return labels if labels.is_file() else None

    @property
    def file(self) -> Path | None:
        """What it computes with; None for random weights, and for those of `architecture`."""
        if self.quantized is not None:
            return self.quantized.graph
        return self.weights if isinstance(self.weights, Path) else None

    def check(self) -> None:
        """Compare its files with their checksums.

        Raises:
            WeightsError: They are missing or damaged.
        """
        if isinstance(self.weights, Path) and sha256(self.weights) != self.sha256:
            raise WeightsError("its checksum is not the one of the import")
        if self.quantized is not None:
            self.quantized.check()


def read_card(card: Path) -> ImportedModel:
    """Read the card in a model's folder; raises what files and wrong values of JSON raise."""
    content = json.loads(card.read_text(encoding="utf-8"))
    weights = content["weights"]
    if weights not in (None, "random"):
        weights = card.with_name(weights)
    quantized = content.get("quantized")
    return ImportedModel(
        name=card.parent.name,
        architecture=content["architecture"],
        weights=weights,
        sha256=content["sha256"],
        classes={int(key): label for key, label in content["classes"].items()},
        folder=card.parent,
        layer=tuple(content.get("layer", ())),
        layout=content.get("layout", "auto"),
        quantized=quantized and QuantizedModel.of(quantized, card.parent),
    )


def write_card(folder: Path, model: ImportedModel, *, named: bool) -> None:
    """Write the card of a model whose files are in a folder, and its classes if it names them."""
    classes = {str(number): label for number, label in model.classes.items()}
    card: dict[str, object] = {
        "architecture": model.architecture,
        "weights": model.weights.name if isinstance(model.weights, Path) else model.weights,
        "sha256": model.sha256,
        "classes": classes,
    }
    if model.quantized is not None:
        card |= {"layer": list(model.layer), "layout": model.layout}
        card["quantized"] = model.quantized.facts
    if named:
        (folder / _LABELS).write_text(json.dumps(classes), encoding="utf-8")
    (folder / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
