from pathlib import Path

import pytest

from streamcam.errors import WeightsError
from streamcam.pipeline.engine_provider import model_options
from streamcam.vision.engine_options import resolve
from streamcam.vision.models.imported_model import ImportedModel
from streamcam.vision.models.library import Library, WeightsState, list_models, verify, weights_file
from streamcam.vision.models.quantized import QuantizedModel, digest_of
from tests.vision.scenes import settings_of

LINEAGE = {"source": {"model": "ssd300_vgg16", "sha256": "ab" * 32}, "versions": {"nncf": "3.0"}}


def write_graph(folder: Path) -> QuantizedModel:
    graph, weights = folder / "int8.xml", folder / "int8.bin"
    graph.write_text("<net/>", encoding="utf-8")
    weights.write_bytes(bytes(1000))
    return QuantizedModel(graph, digest_of((graph, weights)), LINEAGE)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "models")
    own = tmp_path / "own.pth"
    own.write_bytes(b"weights")
    digest = digest_of((own,))
    published = ImportedModel("quick", "ssd300_vgg16", None, "ab" * 32, {1: "fox"}, tmp_path)
    library.add_quantized(published, write_graph, named=False)
    mine = ImportedModel("mine", "ssd300_vgg16", own, digest, {1: "hen"}, tmp_path)
    library.add_quantized(mine, write_graph, named=True)
    return library


def test_an_int8_model_keeps_its_lineage_and_its_own_float_weights(library: Library) -> None:
    quick, mine = library.find("quick"), library.find("mine")
    assert quick is not None
    assert mine is not None
    assert quick.quantized is not None
    assert quick.quantized.lineage == LINEAGE
    assert quick.quantized.graph == library.folder / "quick" / "int8.xml"
    assert (quick.weights, quick.labels) == (None, None)
    assert isinstance(mine.weights, Path)
    assert mine.weights.read_bytes() == b"weights"
    assert mine.weights.parent == library.folder / "mine"
    assert mine.labels == library.folder / "mine" / "labels.json"


def test_its_name_stands_for_the_float_model_and_the_graph(library: Library) -> None:
    resolved = resolve(model_options(settings_of(name="mine", library=library.folder)))
    assert resolved.architecture == "ssd300_vgg16"
    assert resolved.weights == library.folder / "mine" / "weights.pth"
    assert resolved.labels == library.folder / "mine" / "labels.json"
    assert resolved.quantized is not None
    options = model_options(settings_of(name="mine", library=library.folder, weights="random"))
    other = resolve(options)
    assert other.quantized is None


def test_the_list_names_what_it_is_of(library: Library) -> None:
    cards = {card.name: card for card in list_models(library)}
    assert cards["quick"].origin == "int8 of ssd300_vgg16"
    assert cards["quick"].classes == 1
    assert cards["mine"].licence == "your own"
    assert weights_file("quick", library) == library.folder / "quick" / "int8.xml"


@pytest.mark.parametrize("file", ["int8.xml", "int8.bin"])
def test_damage_of_either_file_is_found(library: Library, file: str) -> None:
    assert [one.state for one in verify(["quick"], library)] == [WeightsState.WHOLE]
    path = library.folder / "quick" / file
    path.write_bytes(path.read_bytes()[:-1])
    assert [one.state for one in verify(["quick"], library)] == [WeightsState.DAMAGED]


def test_nothing_is_left_of_a_model_that_could_not_be_written(library: Library) -> None:
    def fail(folder: Path) -> QuantizedModel:
        (folder / "int8.xml").write_text("half")
        raise WeightsError("no")

    model = ImportedModel("third", "ssd300_vgg16", None, None, {}, library.folder)
    with pytest.raises(WeightsError):
        library.add_quantized(model, fail, named=False)
    assert sorted(path.name for path in library.folder.iterdir()) == ["mine", "quick"]
