"""The built-in detector: its interface, its learning, its weights file."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamcam.vision.models.names import NANO_FILE
from streamcam.vision.models.nano import (
    NANO_ARCHITECTURE,
    NANO_CATEGORIES,
    load_nano,
    read_nano,
)
from streamcam.vision.models.nano_network import LAST_BIN, STRIDES, Nano, Predictions, boxes_of
from training.nano_file import save_nano
from training.nano_loss import assign, nano_losses


@pytest.fixture(autouse=True)
def _seeded_and_alone() -> Iterator[None]:
    """Tiny pictures gain nothing from threads, and on a busy machine lose much by them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def picture(height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(3, height, width)


def small(**settings: float) -> Nano:
    return Nano(NANO_CATEGORIES, min_size=64, max_size=128, **settings)  # type: ignore[arg-type]


def test_gives_boxes_for_each_picture_of_a_mixed_batch() -> None:
    model = small(score_thresh=0.0, detections_per_img=20).eval()
    pictures = [picture(50, 90), picture(120, 70)]
    with torch.inference_mode():
        results = model(pictures)
    assert len(results) == 2
    for result, image in zip(results, pictures, strict=True):
        height, width = image.shape[1:]
        assert result["boxes"].min() >= 0
        assert (result["boxes"] <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert set(result) == {"boxes", "labels", "scores"}
        assert 0 < len(result["boxes"]) <= 20
        assert result["boxes"].shape == (len(result["scores"]), 4)
        assert set(result["labels"].tolist()) <= set(NANO_CATEGORIES)
        assert (result["scores"].diff() <= 0).all()


def test_a_batch_gives_what_its_pictures_give_alone() -> None:
    model = small().eval()
    pixels = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        together = model.predict(pixels)
        alone = [model.predict(pixels[index : index + 1]) for index in range(2)]
    sides, logits = (torch.cat([each[part] for each in alone]) for part in (1, 0))
    torch.testing.assert_close(together.sides, sides, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.logits, logits, atol=1e-4, rtol=1e-4)


def test_finds_nothing_where_no_score_is_high_enough() -> None:
    model = small(score_thresh=0.99).eval()
    with torch.inference_mode():
        result = model([picture()])[0]
    assert result["boxes"].shape == (0, 4)
    assert result["labels"].dtype == torch.int64


@pytest.mark.parametrize("least", [0.0, 0.02, 0.3, 1.0])
def test_the_candidates_are_the_best_of_all_places_and_classes(least: float) -> None:
    model = small(score_thresh=least, nms_thresh=1.0, detections_per_img=2000).eval()
    places, classes = 400, len(NANO_CATEGORIES)
    logits = torch.randn(2, places, classes) * 2 - 5
    # Small enough that the sizes below cut none of them, and none is suppressed.
    sides = torch.randn(2, places, 4, LAST_BIN + 1)
    spots = torch.cat([24 + torch.rand(places, 2) * 16, torch.full((places, 1), 2.0)], dim=-1)
    with torch.inference_mode():
        found = model.detect(Predictions(logits, sides, spots), [(64, 64), (64, 64)])
    boxes = boxes_of(sides, spots)
    for one, scores, own in zip(found, logits.sigmoid(), boxes, strict=True):
        expected = scores[scores > least].sort(descending=True).values[:1000]
        torch.testing.assert_close(one["scores"], expected, rtol=0, atol=0)
        at = (scores.flatten() == one["scores"][:, None]).int().argmax(dim=1)
        torch.testing.assert_close(one["boxes"], own[at // classes])


def test_the_backbone_gives_pyramid_levels_to_a_hook() -> None:
    model = small().eval()
    seen: list[OrderedDict[str, Tensor]] = []
    hook = model.backbone.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        model([picture(64, 128)])
    hook.remove()
    assert list(seen[0]) == ["0", "1", "2"]
    for level, stride in zip(seen[0].values(), STRIDES, strict=True):
        assert level.shape == (1, model.backbone.out_channels, 64 // stride, 128 // stride)


def test_the_transform_keeps_to_multiples_of_the_largest_stride() -> None:
    batch, _ = small().transform([picture(50, 90), picture(90, 50)])
    assert batch.tensors.shape[-1] % STRIDES[-1] == 0
    assert batch.tensors.shape[-2] % STRIDES[-1] == 0


def losses_of(model: Nano, image: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
    images, targets = model.transform([image], [target])
    return nano_losses(model, images.tensors, targets)


def test_learns_a_picture_by_heart() -> None:
    model = load_nano(NANO_FILE, min_size=64, max_size=128)
    image = torch.zeros(3, 64, 64)
    image[0, 10:40, 12:50] = 1.0
    target = {"boxes": torch.tensor([[12.0, 10.0, 50.0, 40.0]]), "labels": torch.tensor([17])}
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4)
    model.train()
    for _ in range(40):
        losses = losses_of(model, image, target)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        found = model([image])[0]
    assert found["labels"][0] == 17
    torch.testing.assert_close(found["boxes"][0], target["boxes"][0], atol=4.0, rtol=0.0)


def test_losses_are_finite_without_any_object() -> None:
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = losses_of(small().train(), picture(), target)
    assert set(losses) == {"classification", "box", "sides"}
    assert all(bool(torch.isfinite(each)) for each in losses.values())
    assert losses["box"] == 0


def test_refuses_to_train_with_strange_labels() -> None:
    target = {"boxes": torch.tensor([[1.0, 1.0, 20.0, 20.0]]), "labels": torch.tensor([99])}
    with pytest.raises(ValueError, match="99"):
        losses_of(small().train(), picture(), target)


def test_a_place_belongs_to_the_object_that_it_overlaps_most() -> None:
    points = torch.tensor([[10.0, 10.0], [40.0, 40.0]])
    boxes = torch.tensor([[[0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 52.0, 52.0]]])
    objects = torch.tensor([[0.0, 0.0, 60.0, 60.0], [0.0, 0.0, 20.0, 20.0]])
    zeros = torch.zeros(2, dtype=torch.int64)
    pairs = assign(torch.full((1, 2, 1), 0.5), boxes, points, objects, zeros, zeros)
    assert dict(zip(pairs.places.tolist(), pairs.objects.tolist(), strict=True)) == {0: 1, 1: 0}
    assert pairs.quality.max() <= 1


def test_a_file_keeps_weights_classes_and_summary(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    model = Nano({7: "kite", 3: "car"}).eval()
    save_nano(model, path, {"weights": "mine"}, {"photos": "12"})
    loaded = load_nano(path, score_thresh=0.2)
    assert loaded.categories == {7: "kite", 3: "car"}
    assert loaded.category_ids.tolist() == [7, 3]
    assert loaded.score_thresh == 0.2
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], atol=1e-3, rtol=1e-3)
    metadata = read_nano(path)[1]
    assert metadata["architecture"] == NANO_ARCHITECTURE
    assert json.loads(metadata["origin"]) == {"weights": "mine"}
    assert json.loads(metadata["training"]) == {"photos": "12"}
    assert [each.name for each in tmp_path.iterdir()] == ["own.safetensors"]


def test_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors"):
        load_nano(path)
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_nano(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="architecture is none named"):
        load_nano(path)
    save_file({"a": torch.zeros(1)}, path, {"architecture": NANO_ARCHITECTURE})
    with pytest.raises(ValueError, match="names no categories"):
        load_nano(path)
    categories = json.dumps({"1": "person"})
    save_file(
        {"a": torch.zeros(1)},
        path,
        {"architecture": NANO_ARCHITECTURE, "categories": categories},
    )
    with pytest.raises(ValueError, match="not nano-2 weights"):
        load_nano(path)


def test_refuses_a_truncated_file_and_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "nano.safetensors"
    save_nano(Nano(NANO_CATEGORIES), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_nano(path)
    path.write_bytes(whole)
    tensors, metadata = load_file(path), read_nano(path)[1]
    tensors["head.levels.0.2.bias"] = torch.zeros(5)
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=r"head\.levels\.0\.2\.bias"):
        load_nano(path)


def test_needs_a_category() -> None:
    with pytest.raises(ValueError, match="category"):
        Nano({})


@pytest.fixture(scope="module")
def shipped() -> Iterator[Path]:
    """The weights that the package carries."""
    with as_file(files("streamcam.vision") / "weights" / "nano.safetensors") as path:
        yield path


def test_the_shipped_file_is_small_and_knows_its_classes(shipped: Path) -> None:
    assert shipped.stat().st_size <= 9_000_000
    categories = load_nano(shipped).categories
    assert categories == dict(NANO_CATEGORIES)
    assert len(categories) == 80
    assert (categories[1], categories[44], categories[90]) == ("person", "bottle", "toothbrush")
    metadata = read_nano(shipped)[1]
    assert metadata["licence"] == "Apache-2.0"
    assert "NanoDet-g" in json.loads(metadata["origin"])["network"]


def test_the_shipped_file_knows_the_demo_street(shipped: Path) -> None:
    evaluate_street = pytest.importorskip("training.evaluate_street").evaluate_street
    report = evaluate_street(load_nano(shipped, score_thresh=0.005), range(1, 9))
    # Measured 0.90 over 20 streets; eight have few birds and cats, and scatter more.
    assert report.mean.ap50 >= 0.85
