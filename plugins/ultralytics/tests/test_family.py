"""Ultralytics' files: which are opened, what is refused and why, what importing leaves alone."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_models import SIDE, load, random_model, saved, street
from streamcam_ultralytics.family import UltralyticsFamily

from streamcam.errors import ExitCode, UsageError, WeightsError, WeightsUnavailableError
from streamcam.vision.models.detector import Detector
from streamcam.vision.models.family import LoadOptions
from streamcam.vision.models.registry import find_family
from tests.cli.conftest import environment

TRUSTED = LoadOptions(trust=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    return saved(random_model("yolo26n.yaml"), folder / "yolo26n.pt")


@pytest.mark.parametrize("name", ["yolo11n.pt", "/srv/My.PT", "ultralytics:yolo26n.yaml"])
def test_the_entry_point_brings_the_family(name: str) -> None:
    assert isinstance(find_family(name), UltralyticsFamily)


class Touching:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_opened_only_when_it_is_trusted(tmp_path: Path) -> None:
    touched, file = tmp_path / "touched", tmp_path / "model.pt"
    torch.save({"model": Touching(touched)}, file)
    with pytest.raises(UsageError, match="pickle, which can run any code") as refused:
        UltralyticsFamily().load(str(file), LoadOptions())
    assert "--trust" in str(refused.value.hint)
    assert not touched.exists()
    with pytest.raises(WeightsError, match="cannot be read as a model"):
        UltralyticsFamily().load(str(file), TRUSTED)
    assert touched.exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = random_model("yolo26n.yaml")
    name, weights = next(model.named_parameters())
    weights.data.flatten()[0] = torch.nan
    file = saved(model, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=f"{name} has values that are not finite"):
        UltralyticsFamily().load(str(file), TRUSTED)


def test_a_missing_file_is_not_downloaded() -> None:
    with pytest.raises(WeightsUnavailableError, match="there is no file yolo11n") as missing:
        UltralyticsFamily().load("yolo11n.pt", TRUSTED)
    assert missing.value.exit_code == ExitCode.UNAVAILABLE


@pytest.mark.parametrize("content", [b"", b"GIF89a", pickle.dumps([1, 2])])
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a model of Ultralytics") as damaged:
        UltralyticsFamily().load(str(file), TRUSTED)
    assert "\n" not in damaged.value.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("yolo11n-seg.yaml", "its task is 'segment', its head Segment"),
        ("yolo11n-cls.yaml", "its task is 'classify', its head Classify"),
        ("yolo99n.yaml", "describes no detector"),
    ],
)
def test_models_for_other_tasks_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        UltralyticsFamily().load(name, LoadOptions())


def test_weights_cannot_be_given_beside_the_file(checkpoint: Path) -> None:
    for weights in (checkpoint, "random"):
        options = LoadOptions(weights=weights, trust=True)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="weights"):
            UltralyticsFamily().load(str(checkpoint), options)


def test_the_head_can_be_chosen(checkpoint: Path) -> None:
    assert load(checkpoint, "yolo").suppress == 0.7
    assert load(checkpoint, "end2end").suppress is None
    with pytest.raises(UsageError, match="no outputs of the layout 'yolox'") as refused:
        load(checkpoint, "yolox")
    assert refused.value.hint == "It has yolo, end2end."
    with pytest.raises(UsageError, match="'end2end'"):
        UltralyticsFamily().load("yolo11n.yaml", LoadOptions(layout="end2end"))


def test_a_fused_model_keeps_the_head_that_is_left(tmp_path: Path) -> None:
    model = random_model("yolo26n.yaml")
    model.end2end = True
    model.fuse(verbose=False)
    torch.save({"model": model}, tmp_path / "fused.pt")
    network = load(tmp_path / "fused.pt")
    assert network.suppress is None
    assert len(Detector(network, 0.25)([street(90, 160)]).detections[0].scores) > 0


def test_the_size_is_that_of_the_training_unless_another_is_asked_for(checkpoint: Path) -> None:
    assert load(checkpoint).sizing.longest == SIDE
    options = LoadOptions(imgsz=320, trust=True)
    assert UltralyticsFamily().load(str(checkpoint), options).network.sizing.longest == 320
    assert (
        UltralyticsFamily().load("ultralytics:yolo11n.yaml", LoadOptions()).network.sizing.longest
        == 640
    )


def test_random_weights_are_the_same_every_time() -> None:
    first, second = (
        UltralyticsFamily().load("yolo11n.yaml", LoadOptions()).network.weights() for _ in range(2)
    )
    assert first
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_labels_can_be_given(tmp_path: Path, checkpoint: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"thing {index}" for index in range(80)))
    options = LoadOptions(labels=labels, trust=True)
    categories = UltralyticsFamily().load(str(checkpoint), options).network.categories
    assert (categories[0], categories[79]) == ("thing 0", "thing 79")


QUIET = """
import os, socket, sys
import cv2, numpy, torch
from PIL import Image

def refused(*_arguments):
    raise AssertionError("the network was used")

socket.getaddrinfo = socket.socket.connect = refused
cv2.setNumThreads(2)
def state():
    functions = torch.save, Image.open
    return dict(os.environ), cv2.getNumThreads(), functions, repr(torch.tensor([1.5, 1e-9]))

before = state()
from streamcam_ultralytics.family import UltralyticsFamily
from streamcam.vision.models.family import LoadOptions
assert "ultralytics" not in sys.modules
UltralyticsFamily().load(sys.argv[1], LoadOptions(trust=True))
assert state() == before, (state(), before)
"""


def test_loading_uses_no_network_and_changes_nothing_else(tmp_path: Path, checkpoint: Path) -> None:
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    for folder in (home, cwd):
        folder.mkdir()
    variables = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    variables |= {"MPLCONFIGDIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(checkpoint)],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(home.iterdir())
    assert not list(cwd.iterdir())
    assert not list(tmp_path.glob("streamcam-*"))
