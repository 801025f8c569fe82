"""`streamcam run` with a method that explains boxes: records, maps, pictures, refusals."""

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from streamcam import schemas
from streamcam.cam_methods import METHODS
from streamcam.demo.source import DemoSource
from tests.cli.conftest import Streamcam

SCENE = "demo://street?seconds=1&seed=1&width=384&height=216"

OPTIONS = ("--method", "layercam", "--why-every", "2", "--why-top", "2", "--save-maps", "png")


def records(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.rglob("*.jsonl")
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for one in found:
        jsonschema.Draft202012Validator(schemas.schema("record")).validate(one)
    return found


@pytest.fixture(scope="module")
def folder(streamcam: Streamcam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("why")
    done = streamcam("run", SCENE, *OPTIONS, "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert Path(report["outputs"]["maps"]) == folder / "street.maps"
    return folder


def test_records_name_the_method_and_the_age_of_maps(folder: Path) -> None:
    found = records(folder)
    assert [one["cam"]["method"] for one in found] == ["layercam", "eigencam"] * 2 + ["layercam"]
    for index, one in enumerate(found):
        whys = [d["why"] for d in one["detections"] if "why" in d]
        if index % 2 == 0:
            assert len(whys) == 2
            assert all(why["lift"] > 3 for why in whys)
        assert all(why["method"] == "layercam" for why in whys)
        assert all(why["age_ms"] == 200 * (index % 2) for why in whys)


def test_maps_of_boxes_are_saved(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "street.maps").iterdir())
    fresh = [f"{frame:06}.box-{box}.map.png" for frame in (0, 10, 20) for box in (0, 1)]
    assert names == sorted(fresh + [f"{frame:06}.frame.map.png" for frame in range(0, 25, 5)])
    first = records(folder)[0]["detections"][0]
    heat = cv2.imread(str(folder / "street.maps" / fresh[0]), cv2.IMREAD_UNCHANGED)
    assert heat.dtype == np.uint16
    assert heat.max() == 65535
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    x = (column + 0.5) * 384 / heat.shape[1]
    y = (row + 0.5) * 216 / heat.shape[0]
    x1, y1, x2, y2 = first["box"]
    assert x1 <= x <= x2
    assert y1 <= y <= y2


def test_the_manifest_lists_the_maps_and_a_second_run_skips(
    folder: Path, streamcam: Streamcam
) -> None:
    manifest = json.loads((folder / "street.manifest.json").read_text())
    jsonschema.Draft202012Validator(schemas.schema("manifest")).validate(manifest)
    assert manifest["outputs"]["maps"] == "street.maps"
    assert manifest["engine"]["method"] == "layercam"
    assert manifest["settings"]["cam"]["why_every"] == 2
    assert "skipped" in streamcam("run", SCENE, *OPTIONS, "-o", folder).stdout


def test_one_map_of_a_picture_for_all_boxes(streamcam: Streamcam, tmp_path: Path) -> None:
    picture = tmp_path / "street.png"
    drawn = DemoSource("demo://street?seed=1").scene.picture(1.0)
    cv2.imwrite(str(picture), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    options = ("--method", "gradcam++", "--explain", "frame", "--save-maps", "npz", "--quiet")
    done = streamcam("run", picture, *options, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (one,) = records(tmp_path / "out")
    assert one["cam"]["method"] == "gradcam++"
    assert one["cam"]["explained_variance"] is None
    with np.load(tmp_path / "out" / "street.maps.npz") as maps:
        assert list(maps) == ["000000.frame"]
        assert maps["000000.frame"].max() == pytest.approx(1)


def test_an_unknown_method_is_refused_with_the_known_ones_named(
    streamcam: Streamcam, tmp_path: Path
) -> None:
    done = streamcam("run", SCENE, "--method", "xyzzy", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "--method: must be" in done.stderr
    assert all(method in done.stderr for method in METHODS)
    assert not (tmp_path / "out").exists()
