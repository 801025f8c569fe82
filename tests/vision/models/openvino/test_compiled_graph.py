"""Compiled models: any size, devices that take one at a time, and what is kept on the disk."""

import os
from pathlib import Path

import pytest
import torch

from streamcam.errors import WeightsError
from streamcam.vision.models.network_graph import PIXELS
from streamcam.vision.models.openvino import compiled_graph, runtime
from streamcam.vision.models.openvino.compiled_graph import CompiledGraph
from streamcam.vision.models.openvino.convert import converted
from tests.vision.methods.scenes import nano

SIZES = [(1, 64, 96), (2, 96, 64), (3, 64, 64), (1, 128, 64), (2, 64, 96), (1, 32, 32)]


@pytest.fixture(scope="module")
def model() -> object:
    return converted(nano().network)


def graph(model: object) -> CompiledGraph:
    return CompiledGraph(model, device="CPU", precision="fp32", threads=1)  # type: ignore[arg-type]


def test_sizes_and_batches_need_no_new_compilation(
    model: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    compile_model = compiled_graph.compiled
    monkeypatch.setattr(
        compiled_graph, "compiled", lambda *place: made.append(place) or compile_model(*place)
    )
    run = graph(model)
    for count, height, width in SIZES:
        level = run({PIXELS: torch.rand(count, 3, height, width)})["level.0"]
        assert level.shape == (count, 128, height // 8, width // 8)
    assert len(made) == 1


def test_levels_are_channels_last_without_a_copy(model: object) -> None:
    inputs = {PIXELS: torch.rand(2, 3, 64, 96)}
    expected = graph(model)(inputs)
    run = CompiledGraph(model, device="CPU", precision="fp32", threads=1, channels_last=True)  # type: ignore[arg-type]
    levels = {name: value for name, value in run(inputs).items() if name.startswith("level.")}
    assert len(levels) == 3
    for name, level in levels.items():
        assert level.is_contiguous(memory_format=torch.channels_last)
        assert not level.is_contiguous()
        assert torch.equal(level, expected[name])


def test_a_device_of_fixed_sizes_gives_the_same(
    model: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an NPU: each picture alone, each canvas compiled for itself, the last four kept."""
    free = graph(model)
    monkeypatch.setattr(compiled_graph, "_STATIC", "CPU")
    fixed = graph(model)
    for count, height, width in SIZES:
        inputs = {PIXELS: torch.rand(count, 3, height, width)}
        expected = free(inputs)
        for name, value in fixed(inputs).items():
            assert torch.allclose(value, expected[name], atol=1e-4), name
    assert list(fixed._by_size) == [
        (1, 3, 64, 64),
        (1, 3, 128, 64),
        (1, 3, 64, 96),
        (1, 3, 32, 32),
    ]


def test_inputs_that_do_not_fit_are_an_error_of_one_line(model: object) -> None:
    with pytest.raises(WeightsError, match="OpenVINO fails on these pictures: ") as caught:
        graph(model)({PIXELS: torch.rand(1, 4, 64, 64)})
    assert "\n" not in caught.value.message
    assert "src/" not in caught.value.message


def test_compiled_models_are_kept_where_that_takes_long(
    model: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "_CACHED", {"CPU"})
    monkeypatch.setattr(runtime, "_MAX_CACHED", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "streamcam" / "openvino"
    folder.mkdir(parents=True)
    for age, name in enumerate(("new", "old", "oldest")):
        (folder / f"{name}.blob").write_bytes(b"")
        os.utime(folder / f"{name}.blob", (1000 - age, 1000 - age))
    graph(model)
    kept = {file.name for file in folder.glob("*.blob")}
    assert len(kept) == 2
    assert "new.blob" in kept
    (made,) = kept - {"new.blob"}
    assert (folder / made).stat().st_size > 1_000_000


def test_without_a_folder_to_write_to_nothing_is_kept(
    model: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(runtime, "_CACHED", {"CPU"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert graph(model)({PIXELS: torch.rand(1, 3, 32, 32)})
