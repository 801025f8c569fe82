"""The engine key: equal before and after loading, and different for whatever changes results."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from streamcam.config import Settings, load_settings
from streamcam.pipeline.engine_key import engine_key
from streamcam.pipeline.engine_provider import (
    LazyEngineProvider,
    build_engine,
    expected_key,
    provenance_of,
)
from streamcam.vision.models.library import Library
from streamcam.vision.models.names import NANO_FILE


def settings(**sections: dict[str, Any]) -> Settings:
    return load_settings(None, {}, sections)


def parts(**sections: dict[str, Any]) -> dict[str, Any]:
    return dict(engine_key(settings(**sections), "aa" * 32, None).parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, labels, and a library with a model `mine`."""
    folder = tmp_path_factory.mktemp("models")
    weights = shutil.copyfile(NANO_FILE, folder / "own.safetensors")
    engine = build_engine(settings())
    classes = len(engine.description.classes)
    engine.close()
    labels = folder / "labels.txt"
    labels.write_text("\n".join(f"thing {number}" for number in range(classes)))
    Library(folder / "library").add(weights, "mine", labels=labels)
    return folder


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"weights": "random"},
        {"weights": "own.safetensors"},
        {"weights": "own.safetensors", "labels": "labels.txt"},
        {"name": "mine", "library": "library"},
    ],
    ids=str,
)
def test_a_key_is_the_same_before_and_after_loading(folder: Path, model: dict[str, str]) -> None:
    files = {name: str(folder / text) for name, text in model.items() if name != "name"}
    random = {"weights": "random"} if model.get("weights") == "random" else {}
    chosen = settings(model={**model, **files, **random})
    before = expected_key(chosen)
    with build_engine(chosen) as engine:
        after = provenance_of(engine, chosen).key
    assert before is not None
    assert before.parts == after.parts
    assert before.digest == after.digest
    assert bool(before.parts["model.labels"]) is ("labels" in model or "library" in model)


def test_a_key_is_known_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the engine is not needed")

    monkeypatch.setattr("streamcam.pipeline.engine_provider.build_engine", never)
    with LazyEngineProvider(settings()) as provider:
        assert provider.key().parts["model.name"] == "nano"


def test_the_built_in_detector_is_known_without_torch() -> None:
    code = (
        "import sys\n"
        "from streamcam.config import load_settings\n"
        "from streamcam.pipeline.engine_provider import expected_key\n"
        "assert expected_key(load_settings()).parts['model.weights']\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_weights_that_are_not_here_make_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert expected_key(settings(model={"name": "ssdlite320_mobilenet_v3_large"})) is None
    assert expected_key(settings(model={"weights": str(tmp_path / "absent.pth")})) is None


def test_weights_and_labels_count_by_content(tmp_path: Path) -> None:
    weights, labels = tmp_path / "w.safetensors", tmp_path / "labels.txt"
    chosen = settings(model={"weights": str(weights), "labels": str(labels)})
    digests = set()
    for content in (b"one", b"two"):
        for text in ("car", "bus"):
            weights.write_bytes(content)
            labels.write_text(text)
            key = expected_key(chosen)
            assert key is not None
            digests.add(key.digest)
    assert len(digests) == 4
    shutil.move(weights, tmp_path / "moved.safetensors")
    moved = {"weights": str(tmp_path / "moved.safetensors"), "labels": str(labels)}
    again = expected_key(settings(model=moved))
    assert again is not None
    assert again.digest in digests, "not by name"


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"name": "ssd300_vgg16"}},
        {"model": {"confidence": 0.3}},
        {"model": {"classes": ["car"]}},
        {"model": {"precision": "fp32"}},
        {"cam": {"method": "layercam"}},
        {"cam": {"grid": "pool"}},
        {"sampling": {"max_fps": 2.0}},
        {"sampling": {"end": 3.0}},
        {"render": {"colormap": "jet"}},
        {"output": {"video": "full"}},
        {"output": {"save_maps": "png"}},
    ],
    ids=str,
)
def test_what_changes_results_changes_the_key(change: dict[str, Any]) -> None:
    changed = parts(**change)
    ((section, values),) = change.items()
    (name,) = values
    assert changed != parts()
    assert changed[f"{section}.{name}"] != parts()[f"{section}.{name}"]


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"device": "cpu", "batch": 2, "max_wait": 0.1, "library": "/srv/models"}},
        {"cam": {"explain": "frame", "why_top": 1}},
        {"output": {"folder": "elsewhere", "overwrite": True, "workers": 4, "encoder": "libx264"}},
        {"output": {"skip_existing": True}},
        {"watch": {"settle": 1.0}},
        {"live": {"max_fps": 1.0}},
        {"events": {"min_seconds": 3.0}},
    ],
    ids=str,
)
def test_what_changes_nothing_does_not(change: dict[str, Any]) -> None:
    assert parts(**change) == parts()


def test_settings_without_an_effect_or_in_another_order_are_the_same() -> None:
    assert parts(sampling={"every": 2}) == parts(sampling={"every": 2, "max_fps": 9.0})
    one, other = ({"classes": names} for names in (["car", "Person"], ["person", "car", "car"]))
    assert parts(model=one) == parts(model=other)
    events = {"enabled": True}
    assert parts(events=events) == parts(events={**events, "pre_roll": 1.0})
    assert parts(events=events) != parts(events={**events, "min_seconds": 3.0}) != parts()
    tracking = {"lost_after": 9.0}
    assert parts(tracking=tracking) == parts()
    assert parts(events=events, tracking=tracking) != parts(events=events)
    assert parts(events=events, tracking={"enabled": True}) == parts(events=events)
    assert parts(tracking={"enabled": True})["tracking.enabled"] is True
    gradients = {"method": "layercam"}
    assert parts(cam=gradients) != parts(cam={**gradients, "why_top": 1})


def test_every_setting_of_the_results_is_a_part_or_left_out_on_purpose() -> None:
    """A new setting is a part of the key unless `engine_key` names it."""
    found = {name.partition(".")[0] for name in parts(events={"enabled": True})}
    sections = {
        name
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    operation = {"watch", "live", "retention", "http", "limits", "mqtt", "ray"}
    assert sections - operation == found - {"sinks"}
