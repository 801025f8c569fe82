"""The training commands, on photos of the drawn street."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamcam.demo import CLASS_IDS
from streamcam.vision.models.nano import load_nano, read_nano
from training import train
from training.augment import Recipe, make_sample
from training.data import Photo, load_photos, repeat_factors
from training.ema import MovingAverage
from training.evaluate import main as evaluate_main
from training.evaluate import score
from training.evaluate_video import FrameBoxes, agreement
from training.samples import Drawer, Pool, Samples, batches
from training.scenes import street_crops, street_photo


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Tiny pictures gain nothing from threads, and on a busy machine lose much by them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO folder of a few pictures of the street."""
    folder = tmp_path_factory.mktemp("photos")
    images, annotations = [], []
    for number in range(1, 5):
        photo = street_photo(number, 3.0)
        name = f"{number}.jpg"
        cv2.imwrite(str(folder / name), cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2BGR))
        images.append({"id": number, "file_name": name})
        for box, label in zip(photo.boxes.tolist(), photo.labels.tolist(), strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": key, "name": name} for name, key in CLASS_IDS.items()]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    for split in ("train", "val"):
        (folder / f"{split}.json").write_text(text)
    return folder


def run_of(folder: Path, output: Path, epochs: float) -> train.Run:
    """A run that takes two photos a step."""
    output.mkdir(exist_ok=True)
    options = ["--data", folder, "--output", output, "--batch-size", "2", "--device", "cpu"]
    run = train.Run(train.parse([*map(str, options), "--epochs", str(epochs)]))
    run.resume()
    return run


def test_training_stops_and_resumes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "PHASES", (train.Phase(1.0, 64, Recipe(0.5, 0.6, 1.5, 1.0)),))
    first = run_of(folder, tmp_path, epochs=1)
    first.train()
    assert first.counters.samples == 4
    again = run_of(folder, tmp_path, epochs=2)
    assert again.counters == first.counters
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value)
    again.train()
    assert again.counters.samples == 8
    assert again.progress() == 1.0
    weights = tmp_path / "nano.safetensors"
    assert load_nano(weights).categories == {key: name for name, key in CLASS_IDS.items()}
    assert json.loads(read_nano(weights)[1]["training"])["samples"] == "8"

    evaluate_main(
        ["--data", str(folder), "--weights", str(weights), "--json", str(tmp_path / "ap.json")]
    )
    report = json.loads((tmp_path / "ap.json").read_text())
    assert set(report["classes"]) == set(CLASS_IDS)
    assert 0 <= report["mean"]["ap50"] <= 1


def test_processes_train_the_same_weights(folder: Path, tmp_path: Path) -> None:
    options = ["--data", folder, "--output", tmp_path, "--batch-size", "1", "--device", "cpu"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "training.train",
            *map(str, options),
            "--epochs",
            "2",
            "--processes",
            "2",
        ],
        cwd=Path(train.__file__).parents[1],
        check=True,
        timeout=120,
    )
    summary = json.loads(read_nano(tmp_path / "nano.safetensors")[1]["training"])
    assert int(summary["samples"]) >= 8


def test_does_not_resume_with_other_classes(folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, tmp_path, epochs=1)
    run.categories = {1: "person"}
    run.save()
    with pytest.raises(ValueError, match="other categories"):
        run_of(folder, tmp_path, epochs=1)


def test_needs_a_budget(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        train.parse(["--data", str(folder), "--output", str(tmp_path)])


def test_the_rate_warms_up_and_falls() -> None:
    assert train.rate_factor(0, 0.0) == pytest.approx(1 / train.WARM_UP_STEPS)
    assert train.rate_factor(10_000, 0.0) == 1.0
    assert train.rate_factor(10_000, 1.0) == pytest.approx(train.LAST_RATE)


def test_a_sample_depends_on_its_number_alone() -> None:
    photos = street_crops(2)
    recipe = Recipe(mosaic=0.5, smallest=0.6, largest=1.5, colour=1.0)
    samples = Samples(Drawer([Pool(photos, np.ones(2), 1.0)]), 96, recipe, seed=3)
    pixels, targets = next(batches(samples, first=5, batch_size=3, workers=0))
    again, target = samples[6]
    assert pixels.shape == (3, 96, 96, 3)
    torch.testing.assert_close(pixels[1], again)
    torch.testing.assert_close(targets[1]["boxes"], target["boxes"])


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_stay_with_their_objects(mosaic: float) -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[20:70, 30:80] = 255
    photo = Photo(pixels, np.array([[30, 20, 80, 70]], np.float32), np.array([1]))
    recipe = Recipe(mosaic=mosaic, smallest=0.8, largest=1.2, colour=0.0)
    found = 0
    for seed in range(20):
        sample = make_sample(lambda: photo, 128, recipe, np.random.default_rng(seed))
        for x1, y1, x2, y2 in sample.boxes.round().astype(int):
            found += 1
            assert sample.pixels[y1:y2, x1:x2].mean() > 200
    assert found >= 10


def test_rare_classes_are_shown_more_often() -> None:
    def photo(label: int) -> Photo:
        pixels = np.zeros((8, 8, 3), np.uint8)
        return Photo(pixels, np.array([[0, 0, 8, 8]], np.float32), np.array([label]))

    factors = repeat_factors([photo(1)] * 99 + [photo(2)], rare_below=0.1)
    assert factors[0] == 1
    assert factors[-1] == pytest.approx(math.sqrt(10))


def test_reads_a_folder_and_reports_faults(folder: Path, tmp_path: Path) -> None:
    photos = load_photos(folder, "train", longest=384, limit=2)
    assert len(photos) == 2
    assert max(photos[0].pixels.shape) == 384
    assert photos[0].boxes.max() <= 384
    with pytest.raises(ValueError, match=r"train\.json: cannot be read"):
        load_photos(tmp_path, "train")
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(ValueError, match="not a COCO file"):
        load_photos(tmp_path, "train")


def test_the_average_follows_the_weights() -> None:
    model = torch.nn.Linear(2, 2)
    average = MovingAverage(model, decay=0.9, warm_up=2)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for step in range(200):
        average.update(model, step)
    torch.testing.assert_close(average.model.weight, model.weight)


def test_perfect_detections_score_one(folder: Path) -> None:
    truth = json.loads((folder / "val.json").read_text())
    rows = [{**each, "score": 0.9} for each in truth["annotations"]]
    assert score(truth, rows).mean.ap50 == pytest.approx(1.0)
    assert score(truth, rows[: len(rows) // 2]).mean.ap50 < 1.0
    assert score(truth, []).mean.ap50 == 0.0


def test_agreement_counts_each_reference_box_once() -> None:
    wanted = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    found = torch.tensor([[0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 10.0], [80.0, 80.0, 90.0, 90.0]])
    frame = FrameBoxes(
        wanted, found, torch.tensor([0.9, 0.8, 0.4]), torch.tensor([0.5]), empty=False
    )
    empty = FrameBoxes(
        torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0), torch.tensor([0.35]), empty=True
    )
    low = agreement([frame, empty], 0.3)
    assert (low.recall, low.false_per_frame) == (0.5, 1.0)
    assert (low.without_others, low.quiet) == (0.0, 0.0)
    high = agreement([frame, empty], 0.85)
    assert (high.recall, high.false_per_frame) == (0.5, 0.0)
    assert (high.without_others, high.quiet) == (1.0, 1.0)
