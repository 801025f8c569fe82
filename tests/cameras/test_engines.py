"""Several real detectors as one engine."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamcam.cameras import engines as engines_module
from streamcam.cameras.engines import FILES, Engines
from streamcam.config.schema import Settings
from streamcam.demo.source import DemoSource
from streamcam.errors import StreamcamError
from streamcam.pipeline.engine_provider import build_engine
from streamcam.types import Frame, FrameResult
from tests.sources.selectors import Periodic
from tests.vision.scenes import SSDLITE, frame

NANO = Settings()
OTHER = Settings.model_validate(
    {"model": {"name": SSDLITE, "weights": "random", "precision": "fp32"}}
)


def nano(**model: object) -> Settings:
    return Settings.model_validate({"model": model})


def assigned(engines: Engines, source: str, settings: Settings) -> Any:
    """Assign a source its detector, and return it."""
    engines.assign(source, settings)
    return engines._engines[engines._clients[source].key]


@pytest.fixture
def engines() -> Iterator[Engines]:
    made = Engines()
    yield made
    made.close()
    assert not made._engines


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was built, by the model's name."""
    built: list[str] = []

    def build(settings: Settings, _: object) -> object:
        built.append(settings.model.name)
        return build_engine(settings, None)

    monkeypatch.setattr(engines_module, "build_engine", build)
    return built


def explained(engines: Engines, frames: list[Frame]) -> list[FrameResult]:
    return engines.postprocess(engines.forward(engines.preprocess(frames)))


def test_two_detectors_in_one_batch(engines: Engines) -> None:
    """Each frame is explained by its own, as it would be alone, and comes back in its place."""
    source = DemoSource("demo://street?seconds=1&width=320&height=180")
    pictures = [shown.picture for shown in source.frames(Periodic(0.3))]
    engines.assign("yard", NANO)
    engines.assign("gate", OTHER)
    engines.assign("roof", NANO)
    frames = [
        frame(picture, index, name)
        for index, picture in enumerate(pictures)
        for name in ("gate", "yard", "roof")
    ]
    results = explained(engines, frames)
    assert [result.frame for result in results] == frames
    with build_engine(NANO) as small, build_engine(OTHER) as large:
        for name, alone in (("yard", small), ("roof", small), ("gate", large)):
            own = [shown for shown in frames if shown.source == name]
            for mine, expected in zip(
                [r for r in results if r.frame.source == name], alone.explain(own), strict=True
            ):
                assert len(mine.detections) == len(expected.detections)
                assert mine.explanation.map.shape == expected.explanation.map.shape
                assert np.allclose(mine.explanation.map, expected.explanation.map, atol=2e-3)
    assert any(r.detections for r in results if r.frame.source == "yard")
    assert engines.provenance("gate").model == SSDLITE
    assert engines.provenance("yard").model == "nano"


def test_who_asks_for_the_same_shares_it_until_the_last_has_gone(
    engines: Engines, builds: list[str]
) -> None:
    first = assigned(engines, "yard", nano(confidence=0.9))
    second = assigned(engines, "gate", nano(confidence=0.2, classes=["person"], max_wait=1.0))
    assert first is second
    assert builds == ["nano"]
    assert first.description.confidence == pytest.approx(0.2), "enough for the one that wants most"
    engines.assign("roof", nano(confidence=0.5))
    assert first.description.confidence == pytest.approx(0.2)
    engines.release("yard")
    engines.release("gate")
    engines.release("gate")
    assert assigned(engines, "door", NANO) is first
    engines.release("roof")
    engines.release("door")
    assert not engines._engines
    assert assigned(engines, "yard", NANO) is not first
    assert builds == ["nano", "nano"]


def test_the_presets_confidence_counts_where_none_is_said(engines: Engines) -> None:
    preset = assigned(engines, "gate", nano(confidence=0.99)).description.preset
    assert preset < 0.99
    assert assigned(engines, "yard", NANO).description.confidence == preset


def test_other_weights_grids_and_batches_are_not_shared(engines: Engines) -> None:
    coarse = Settings.model_validate({"cam": {"grid": "pool"}})
    made = [
        assigned(engines, str(number), settings)
        for number, settings in enumerate((NANO, nano(weights="random"), nano(batch=2), coarse))
    ]
    assert len({id(engine) for engine in made}) == 4


def test_one_that_cannot_be_loaded_changes_nothing(engines: Engines) -> None:
    engines.assign("yard", NANO)
    with pytest.raises(StreamcamError, match=r"absent\.pth"):
        engines.assign("gate", nano(weights="/absent.pth"))
    assert set(engines._clients) == {"yard"}
    engines.forget("gate")
    engines.forget("yard")
    engines.release("gate")
    picture = np.full((90, 160, 3), 90, np.uint8)
    assert len(explained(engines, [frame(picture, 0, "yard")])) == 1


def test_each_source_gets_the_detections_it_asked_for(engines: Engines) -> None:
    picture = DemoSource("demo://street?seed=1").scene.picture(1.0)
    engines.assign(FILES, NANO)
    engines.assign("yard", nano(confidence=0.6, classes=["Person"]))
    engines.assign("gate", nano(confidence=0.1), ignore=[(0.0, 0.0, 1.0, 1.0)])
    frames = [frame(picture, 0, source) for source in ("clip.mp4", "yard", "gate")]
    file, yard, gate = explained(engines, frames)
    preset = engines._clients[FILES].filter.confidence
    assert min(found.confidence for found in file.detections) >= preset
    assert {found.label for found in yard.detections} == {"person"}
    assert 0 < len(yard.detections) < len(file.detections)
    assert all(found.confidence >= 0.6 for found in yard.detections)
    assert not gate.detections


def test_a_slow_download_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are loaded and let go meanwhile; who wants the same waits and shares it."""
    begun, fetched = threading.Event(), threading.Event()
    built: list[str] = []

    class Loaded:
        description = SimpleNamespace(preset=0.5)

        def lower_confidence(self, confidence: float) -> None:
            """Give no detections in any case."""

        def close(self) -> None:
            built.append("closed")

    def build(settings: Settings, _: object) -> Any:
        built.append(settings.model.name)
        if settings.model.name == SSDLITE:
            begun.set()
            assert fetched.wait(10)
        return Loaded()

    monkeypatch.setattr(engines_module, "build_engine", build)
    engines = Engines()
    threads = [
        threading.Thread(target=engines.assign, args=(name, OTHER)) for name in ("gate", "roof")
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    engines.assign("yard", NANO)
    engines.release("yard")
    assert "gate" not in engines._clients
    assert "roof" not in engines._clients
    fetched.set()
    for thread in threads:
        thread.join(10)
    assert "gate" in engines._clients
    assert "roof" in engines._clients
    assert built == [SSDLITE, "nano", "closed"]
    engines.close()
    assert built[3:] == ["closed"]
