"""The list of CAM methods: an entry in it is all that a method needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamcam.cam_methods import EIGENCAM, METHODS, CamMethod, find_method, method_label
from streamcam.config.schema import Settings
from streamcam.errors import UsageError
from streamcam.render import Style
from streamcam.render.overlays import footer
from streamcam.render.style import Scale
from tests.cli.conftest import environment
from tests.render.scene import frame, plain

SCENE = "demo://street?seconds=1&seed=1&width=384&height=216"
REGISTER = """
from streamcam.cam_methods import METHODS, CamMethod, GradientFormula

METHODS["toycam"] = CamMethod(
    "toycam",
    "Toy-CAM",
    "the activations' magnitude",
    formula=GradientFormula(lambda activations, gradients: (gradients * activations).abs().sum(1)),
)
"""


def with_toy_method(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REGISTER + program, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def streamcam(*arguments: object) -> subprocess.CompletedProcess[str]:
    return with_toy_method("from streamcam.cli.app import main\nmain()", *arguments)


def test_an_added_method_runs(tmp_path: Path) -> None:
    done = streamcam("run", SCENE, "--method", "toycam", "--save-maps", "npz", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    records = (tmp_path / "street.detections.jsonl").read_text(encoding="utf-8").splitlines()
    explained = [json.loads(line) for line in records]
    assert {one["cam"]["method"] for one in explained} == {"toycam"}
    assert all(one["detections"][0]["why"]["method"] == "toycam" for one in explained)


def test_an_added_method_is_configurable_and_in_the_help(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[cam]\nmethod = "toycam"\n', encoding="utf-8")
    assert streamcam("config", "check", config).returncode == 0
    assert "`toycam`" in streamcam("run", "--help").stdout.replace("\n", "")
    schema = with_toy_method(
        "from streamcam.config import Settings\nimport json\n"
        "print(json.dumps(Settings.model_json_schema()['$defs']['CamSettings']))"
    )
    method = json.loads(schema.stdout)["properties"]["method"]
    assert method["enum"] == [*METHODS, "toycam"]
    assert "the activations' magnitude" in method["description"]


def test_an_added_method_is_in_the_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    for legend in ("", "the toy's legend"):
        method = CamMethod(f"toycam{legend}", "Toy-CAM", "", (legend,))
        monkeypatch.setitem(METHODS, method.name, method)
        placed = footer(frame(plain(768, 432)), method.name, None, Style(), Scale.of(768, 432))
        widths.append(max(note.layer.width for note in placed))
    assert widths[0] < widths[1]


def test_the_list_needs_no_torch() -> None:
    program = "import sys\nassert 'torch' not in sys.modules"
    assert with_toy_method(program).returncode == 0


def test_every_method_has_a_label_a_meaning_and_a_legend_that_may_be_left_out() -> None:
    assert next(iter(METHODS)) == EIGENCAM
    for name, method in METHODS.items():
        assert method.name == name
        assert method.label
        assert method.meaning
        assert not method.meaning.endswith(".")
        assert method.legend[-1] == ""
    assert method_label("unknown") == "unknown"


def test_an_unknown_method_is_refused_everywhere() -> None:
    with pytest.raises(UsageError) as caught:
        find_method("xyzzy")
    assert all(name in str(caught.value.hint) for name in METHODS)
    with pytest.raises(ValueError, match=r"must be eigencam, .* or segeigencam, not 'xyzzy'"):
        Settings.model_validate({"cam": {"method": "xyzzy"}})


@pytest.mark.parametrize("page", ["explanations.md", "reference.md"])
def test_the_documentation_names_every_method(page: str) -> None:
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in METHODS)
