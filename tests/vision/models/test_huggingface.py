"""Models of transformers by their names: folders, the hub, and what cannot be used."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from streamcam.audit.gradcam_comparison import projection_as_published
from streamcam.audit.ground_truth import Sample
from streamcam.audit.measure import Audit
from streamcam.bench.gradcam_baseline import build_gradcam_baseline
from streamcam.cam_methods import METHODS
from streamcam.errors import (
    ExitCode,
    UsageError,
    WeightsError,
    WeightsMismatchError,
    WeightsUnavailableError,
)
from streamcam.pipeline.engine_provider import build_engine, model_options
from streamcam.vision.build import choose_methods
from streamcam.vision.models.download import sha256
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.huggingface import HuggingFaceFamily
from streamcam.vision.models.registry import find_family
from tests.bench.test_baselines import drawn_as_published
from tests.servers.hub import COMMIT, hub_server
from tests.vision.models.tiny_detectors import LABELS, plain_model, save_tiny, tiny_network
from tests.vision.scenes import build, frame, grey, noise, settings_of, with_patch

FAMILY = HuggingFaceFamily()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("rt_detr_v2", tmp_path_factory.mktemp("models") / "tiny")


def test_a_folder_with_a_configuration_is_a_model(folder: Path, tmp_path: Path) -> None:
    assert isinstance(find_family(str(folder)), HuggingFaceFamily)
    assert isinstance(find_family("hf:someone/something"), HuggingFaceFamily)
    for name in (str(tmp_path), "hf:", str(folder / "config.json")):
        with pytest.raises(UsageError, match="no detector named"):
            find_family(name)


def test_a_folder_is_loaded_with_its_labels_and_weights(folder: Path) -> None:
    loaded = FAMILY.load(str(folder), LoadOptions())
    assert loaded.network.categories == LABELS
    assert loaded.sha256 == sha256(folder / "model.safetensors")
    assert FAMILY.weights_file(str(folder)) == folder / "model.safetensors"
    state = loaded.network.module.state_dict()
    assert torch.equal(
        state["class_embed.0.weight"], plain_model("rt_detr_v2").class_embed[0].weight
    )


def test_random_weights_are_the_same_every_time(folder: Path) -> None:
    one, other = (FAMILY.load(str(folder), LoadOptions(weights="random")) for _ in range(2))
    assert (one.weights, one.sha256) == ("random", None)
    states = [loaded.network.module.state_dict() for loaded in (one, other)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_labels_of_ones_own_replace_the_models(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("Mensch\nAuto\nHund\n", encoding="utf-8")
    loaded = FAMILY.load(str(folder), LoadOptions(labels=labels))
    assert list(loaded.network.categories.values()) == ["Mensch", "Auto", "Hund"]


def test_a_weights_file_beside_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="has its own weights"):
        FAMILY.load(str(folder), LoadOptions(weights=folder / "model.safetensors"))


def copy(folder: Path, target: Path, *, weights: bool = True) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        if weights or file.suffix == ".json":
            (target / file.name).write_bytes(file.read_bytes())
    return target


def test_pickles_are_opened_only_on_trust(folder: Path, tmp_path: Path) -> None:
    pickled = copy(folder, tmp_path / "pickled", weights=False)
    torch.save(load_file(folder / "model.safetensors"), pickled / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="can run any code") as caught:
        FAMILY.load(str(pickled), LoadOptions())
    assert "--trust" in str(caught.value.hint)
    loaded = FAMILY.load(str(pickled), LoadOptions(trust=True))
    assert loaded.sha256 == sha256(pickled / "pytorch_model.bin")


def test_weights_that_lack_tensors_are_refused(folder: Path, tmp_path: Path) -> None:
    partial = copy(folder, tmp_path / "partial")
    state = load_file(folder / "model.safetensors")
    del state["model.decoder_input_proj.0.0.weight"]
    save_file(state, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsMismatchError, match=r"lack 1 tensors .*decoder_input_proj"):
        FAMILY.load(str(partial), LoadOptions())


def test_weights_that_are_not_finite_are_refused(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "broken")
    state = load_file(folder / "model.safetensors")
    state["model.decoder_input_proj.0.0.weight"][0] = torch.nan
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"decoder_input_proj\.0\.0\.weight has values"):
        FAMILY.load(str(broken), LoadOptions())


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", '{"model_type": "bert"}', "cannot be used"),
        ("config.json", '{"model_type": "nonsense"}', "cannot be used"),
        ("config.json", "{", "cannot be used"),
        ("model.safetensors", "damaged", "cannot be used"),
        ("preprocessor_config.json", None, "cannot be used"),
    ],
)
def test_what_is_no_detector_is_told_in_one_line(
    folder: Path, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    damaged = copy(folder, tmp_path / "damaged")
    if content is None:
        (damaged / file).unlink()
    else:
        (damaged / file).write_text(content, encoding="utf-8")
    with pytest.raises(WeightsError, match=message) as caught:
        FAMILY.load(str(damaged), LoadOptions())
    assert "\n" not in str(caught.value)


def test_a_missing_extra_is_told_with_what_brings_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError) as caught:
        FAMILY.load(str(folder), LoadOptions())
    assert caught.value.hint == "Run pip install 'streamcam[transformers]'."


def test_layers_of_an_unknown_type_are_found_by_shape(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = save_tiny("table-transformer", tmp_path / "tables")
    with caplog.at_level(logging.WARNING), build(name=str(unknown), device="cpu") as engine:
        (result,) = engine.explain([frame(noise(120, 180))])
    assert "model.input_projection, found by shape; --layer names others" in caplog.text
    assert result.explanation.map.shape == (5, 8)
    assert engine.detector.network.levels.strides == {"model.input_projection": (32.0, 32.0)}
    with pytest.raises(UsageError) as caught:
        build(name=str(unknown), device="cpu", method="layercam")
    assert caught.value.hint == "It has eigencam, scorecam."


def test_layers_are_chosen_by_name(folder: Path) -> None:
    layers = ("model.encoder_input_proj.0", "model.encoder_input_proj.1")
    with build(name=str(folder), device="cpu", layer=layers) as engine:
        (result,) = engine.explain([frame(noise(120, 180))])
    assert engine.detector.network.levels.strides == {
        layers[0]: (8.0, 8.0),
        layers[1]: (16.0, 16.0),
    }
    assert result.explanation.map.shape == (12, 12)
    with pytest.raises(UsageError, match=r"no layer 'model\.encoder_input_proj\.7'") as caught:
        build(name=str(folder), device="cpu", layer=["model.encoder_input_proj.7"])
    assert "model.encoder_input_proj.0" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"class_embed.0 gives no feature map"):
        build(name=str(folder), device="cpu", layer=["model.decoder.class_embed.0"])


@pytest.mark.parametrize("kind", ["detr", "rt_detr_v2", "rf_detr", "lw_detr"])
def test_half_precision_gives_the_same_feature_maps_to_rounding(kind: str) -> None:
    network = tiny_network(kind, dtype=torch.bfloat16)
    canvas = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        half = network.features(canvas)
        with network.in_float32():
            full = network.features(canvas)
    for name, level in full.items():
        assert level.dtype == torch.float32
        assert 0 < (half[name].float() - level).norm() < 0.1 * level.norm()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hub's own settings, with an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    return constants


def use(hub: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_model_of_the_hub_is_fetched_once(
    folder: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int | None]] = []
    options = LoadOptions(progress=lambda *step: told.append(step))
    with hub_server({"someone/tiny": folder}) as url:
        use(hub, monkeypatch, url)
        loaded = FAMILY.load("hf:someone/tiny", options)
    assert loaded.sha256 == sha256(folder / "model.safetensors")
    size = (folder / "model.safetensors").stat().st_size
    assert told[-1] == ("someone/tiny/model.safetensors", size, size)
    assert {name for name, _, _ in told} == {"someone/tiny/model.safetensors"}
    cached = FAMILY.weights_file("hf:someone/tiny")
    assert cached is not None
    assert COMMIT in str(cached)
    assert FAMILY.card("hf:someone/tiny").present

    # From now on without the server.
    told.clear()
    assert FAMILY.load("hf:someone/tiny", options).sha256 == loaded.sha256
    assert not told


def test_weights_in_several_files_are_all_fetched(
    folder: Path, tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = copy(folder, tmp_path / "split", weights=False)
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    parts = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for part, own in parts.items():
        save_file({key: state[key] for key in own}, split / part, metadata={"format": "pt"})
    places = {key: part for part, own in parts.items() for key in own}
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (split / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with hub_server({"someone/split": split}) as url:
        use(hub, monkeypatch, url)
        loaded = FAMILY.load("hf:someone/split@main", LoadOptions())
    own = loaded.network.module.state_dict()["model.enc_score_head.weight"]
    assert torch.equal(own, state["model.enc_score_head.weight"])


def test_without_a_network_the_command_for_another_machine_is_named(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub, monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
    for offline in (False, True):
        monkeypatch.setattr(hub, "HF_HUB_OFFLINE", offline)
        with pytest.raises(WeightsUnavailableError, match="cannot be fetched") as caught:
            FAMILY.load("hf:someone/tiny", LoadOptions())
        assert caught.value.exit_code == ExitCode.UNAVAILABLE
        assert "hf download someone/tiny --local-dir tiny" in str(caught.value.hint)
        assert "\n" not in str(caught.value)
        assert "Errno" not in str(caught.value)


def test_models_that_the_hub_has_not_or_that_are_no_detectors(
    folder: Path, tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    pickled = copy(folder, tmp_path / "pickled", weights=False)
    (pickled / "pytorch_model.bin").write_bytes(b"")
    with hub_server({"a/empty": tmp_path / "empty", "a/pickled": pickled}) as url:
        use(hub, monkeypatch, url)
        with pytest.raises(WeightsUnavailableError, match="no model a/lost on the hub"):
            FAMILY.fetch("hf:a/lost")
        with pytest.raises(WeightsError, match=r"has no config.json"):
            FAMILY.fetch("hf:a/empty")
        with pytest.raises(WeightsError, match="can run any code"):
            FAMILY.fetch("hf:a/pickled")
        with pytest.raises(UsageError, match="cannot be a model's name"):
            FAMILY.fetch("hf:a/b/c")


def test_the_published_recipe_with_the_original_model_equals_ours(folder: Path) -> None:
    settings = settings_of(name=str(folder), device="cpu", precision="fp32", confidence=0.0)
    picture = noise(120, 180)
    with (
        build_engine(settings) as engine,
        build_gradcam_baseline(engine, model_options(settings)) as baseline,
    ):
        theirs = baseline.explain(picture)
        (ours,) = engine.explain([frame(picture)])
        projection, _ = projection_as_published(engine.detector, engine.cam.levels, picture)
    boxes = np.array([one.box for one in ours.detections])
    clipped = np.clip(theirs.boxes, 0, [180, 120] * 2)
    assert np.abs(boxes[np.lexsort(boxes.T)] - clipped[np.lexsort(clipped.T)]).max() < 0.05
    errors = [
        np.abs(drawn_as_published(sign * projection, picture) - theirs.heat).max()
        for sign in (1, -1)
    ]
    assert min(errors) < 2e-3, "of a range of 0 to 1, up to the sign"


def test_an_audit_measures_every_method(folder: Path) -> None:
    with build(name=str(folder), device="cpu", confidence=0.0) as engine:
        methods = choose_methods([], engine.detector.network, "tiny")
        assert len(methods) == len(METHODS)
        audit = Audit(engine, ["eigencam", "layercam", "ablationcam"], top=1)
        report = audit.run([Sample(frame(with_patch(grey(120, 180), 40, 30, 60)))], [])
    assert list(report.methods) == ["eigencam", "layercam", "ablationcam", "random", "centre"]
    assert all(scores.similarity is not None for scores in report.methods.values())
    assert report.comparison.error < 1e-4
    assert report.comparison.cells == ((6, 6), (12, 12))
