"""Wrong command lines and settings, and what people are told: one or two lines that help."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from streamcam.cli.app import main
from streamcam.config import load_settings
from streamcam.config.toml import to_toml
from streamcam.vision.models import registry

DEVICES = "auto, all, cpu, cuda, cuda:N, intel:cpu, intel:gpu, intel:npu, or several with commas"

Tell = Callable[..., tuple[int, str]]

NEVER = (
    *("STREAMCAM_*", "^(", r"\d", "Traceback", "internal fault", "Input should", "Value error"),
    *("[Errno", "pydantic", "Look in"),
)
"""What means nothing to people who mistyped a word."""

SCENE = "demo://street?seconds=0.2"


@pytest.fixture
def tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tell:
    """Runs a command line in a folder of its own; returns exit code and what stderr says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello")

    def run(line: str, **variables: str) -> tuple[int, str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line))
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        # words
        ("run x --method gradcamm", 2, "--method: there is no 'gradcamm', did you mean gradcam?"),
        ("run x --method xyzzy", 2, "--method: must be eigencam, eigengradcam, gradcam"),
        ("run x --grid fien", 2, "--grid: must be fine or pool, not 'fien'; did you mean fine?"),
        ("run x --video none", 2, "--video: must be sampled, full or off, not 'none'"),
        ("run x --encoder nvenc", 2, "did you mean h264_nvenc?"),
        (
            "run x --precision fp17",
            2,
            "--precision: must be auto, fp32, fp16, bf16 or int8, not 'fp17'",
        ),
        ("run x --colormap ''", 2, "--colormap: must not be empty"),
        (
            "run x --device tpu",
            2,
            f"--device: must be {DEVICES}, not 'tpu'",
        ),
        ("run x --device mps", 2, "--device: Apple's GPUs (mps) are not supported"),
        ("watch folder --after moev:x", 2, "--after: must be keep, delete or move:FOLDER"),
        ("live x --record sometimes", 2, "--record: must be always, detections or never"),
        ("live x --name ../x", 2, "--name: must be up to 64 letters, digits, dots"),
        ("live x --publish http://x", 2, "--publish: must be an rtsp, rtmp, srt, udp or tcp URL"),
        ("live x --option speed", 2, "--option speed: an option is KEY=VALUE"),
        ("serve --log-format xml", 2, "--log-format: 'xml' is not one of 'text', 'json'"),
        ("jobs list --status faild", 2, "did you mean failed?"),
        ("audit x --methods layrcam", 2, "Did you mean layercam"),
        ("schema recrod", 2, "Did you mean record?"),
        # numbers
        ("run x --batch 0", 2, "--batch: must be 1 to 256, not 0"),
        ("run x --batch 1.5", 2, "--batch: must be a whole number, not '1.5'"),
        (f"run x --batch {'9' * 5000}", 2, "--batch: must be"),
        ("run x --confidence 50%", 2, "--confidence: must be a number, not '50%'"),
        ("run x --confidence nan", 2, "--confidence: must be a finite number, not 'nan'"),
        ("run x --max-fps -1", 2, "--max-fps: must be more than 0 and at most 1000, not -1"),
        ("run x --start soon", 2, "--start: must be a duration such as \"10s\", not 'soon'"),
        ("run x --start -5s", 2, "--start: must be"),
        ("run x --start 10s --end 5s", 2, "--end: must lie after the start (10 s), not at 5 s"),
        ("live x --segment 0", 2, "--segment: must be 1s to 1h, not 0"),
        ("jobs list --limit 0", 2, "--limit: must be at least 1"),
        ("audit x --frames many", 2, "--frames: must be a whole number"),
        ("demo --seconds 1e9", 2, "--seconds: must be at most 3600"),
        # files, folders and addresses
        ("run x --config nope.toml", 78, "cannot read the configuration nope.toml: No such file"),
        ("run x --config folder", 78, "cannot read the configuration folder: Is a directory"),
        ("run x --output ''", 2, "--output: must not be empty"),
        ("run ''", 2, "the name of a source is empty"),
        ("watch ''", 2, "the name of a folder is empty"),
        ("watch text.txt", 2, "text.txt is not a folder"),
        ("live ''", 2, "SOURCE: must not be empty"),
        ("status --url nope", 2, "--url: must begin with http://, not 'nope'"),
        ("status --url http://[x", 2, "--url: http://[x/api/status: Invalid IPv6 URL"),
        ("status --url http://127.0.0.1:1 --token-file folder", 2, "folder: Is a directory"),
        ("status --url http://127.0.0.1:1", 69, "no service answers at http://127.0.0.1:1"),
        ("audit x --truth nope.json", 2, "cannot read --truth nope.json: No such file"),
        ("models import text.txt --name x", 1, "text.txt is not a whole weights file"),
        # commands and options
        ("rnu", 2, "no such command 'rnu'\n  Did you mean 'run'?"),
        ("jobs lst", 2, "no such command 'lst'\n  Did you mean 'list'?"),
        ("run x --mthod gradcam", 2, "there is no option --mthod\n  Did you mean --method?"),
        ("run x --xyzzy", 2, "no such option: --xyzzy\n  See `"),
        ("run x --save-maps", 2, "option '--save-maps' requires an argument"),
        (
            "run",
            2,
            "no source is named\n  Name one, or a file that lists them: --sources-from FILE.",
        ),
        ("config check a b", 2, "unexpected extra argument"),
        ("run x --half --precision fp32", 2, "--half and --precision fp32 contradict each other"),
    ],
)
def test_a_wrong_command_line_is_told_in_two_lines(
    tell: Tell, line: str, code: int, told: str
) -> None:
    found, text = tell(line)
    assert (found, text[:7]) == (code, "error: ")
    assert told in text
    assert text.count("\n") <= 2
    assert not [part for part in NEVER if part in text]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nanoo", "Did you mean nano?"),
        ("fasterrcnn_resnet50", "Did you mean fasterrcnn_resnet50_fpn"),
        ("yolov8n", "--model yolov8n.pt"),
        ("own.pth", "--model NAME --weights own.pth"),
        ("own.engine", "Export it to ONNX"),
        ("PekingU/rtdetr_v2_r50vd", "--model hf:PekingU/rtdetr_v2_r50vd"),
        ("zzz", "`streamcam models list` names them."),
    ],
)
def test_an_unknown_model_is_answered_with_what_can_be_done(
    tell: Tell, name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda **_: ())  # no plug-ins
    code, text = tell(f"models path {name}")
    assert code == 2
    assert f"there is no detector named '{name}'\n  " in text
    assert hint in text


def test_a_file_whose_family_is_not_installed_is_answered_with_its_installation(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.vision.models.registry.entry_points", lambda group: ())  # noqa: ARG005
    code, text = tell("models path yolov8n.pt")
    assert code == 2
    assert "pip install streamcam-ultralytics" in text


def test_an_unknown_class_is_answered_with_a_near_one(tell: Tell) -> None:
    code, text = tell(f"run '{SCENE}' --classes persn")
    assert code == 2
    assert "nano has no class 'persn'\n  Did you mean person" in text


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "STREAMCAM_MODEL_DEVICE",
            "gpux",
            f"must be {DEVICES}, not 'gpux'",
        ),
        ("STREAMCAM_SAMPLING_MAX_FPS", "fast", "must be a number, not 'fast'"),
        ("STREAMCAM_MODEL_NMAE", "x", "unknown, did you mean STREAMCAM_MODEL_NAME?"),
        ("STREAMCAM_MODLE_NAME", "x", "unknown, did you mean STREAMCAM_MODEL_NAME?"),
        ("STREAMCAM_DEVICE", "cpu", "unknown, did you mean STREAMCAM_MODEL_DEVICE?"),
        ("STREAMCAM_MODEL", "x", "unknown, did you mean STREAMCAM_MODEL_NAME?"),
        ("STREAMCAM_CAMERA_NAME", "x", "belongs into the configuration file"),
        ("STREAMCAM_RENDER_LEGEND", "maybe", "must be true or false, not 'maybe'"),
    ],
)
def test_a_wrong_variable_is_named(tell: Tell, variable: str, value: str, told: str) -> None:
    assert tell("config show", **{variable: value}) == (78, f"error: {variable}: {told}\n")


def test_what_is_wrong_with_a_section_is_not_blamed_on_its_flags_and_variables(
    tell: Tell, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text("model = 3\n[[camera]]\nname = 'a'\nurl = 'x'\n")
    variables = {"STREAMCAM_MODEL_BATCH": "2", "STREAMCAM_CAMERA_NAME": "b"}
    code, text = tell("run x --config c.toml --device cpu", **variables)
    assert code == 78
    assert text.splitlines()[1:] == [
        "  c.toml, line 1: model: must be a table, not 3",
        "  STREAMCAM_CAMERA_NAME: belongs into the configuration file",
    ]


def test_a_flag_hides_a_wrong_variable(tell: Tell) -> None:
    code, text = tell("run nope.mp4 --batch 2", STREAMCAM_MODEL_BATCH="big")
    assert code == 69
    assert "BATCH" not in text


def test_wrong_flags_and_variables_are_told_together(tell: Tell) -> None:
    code, text = tell("run x --device tpu", STREAMCAM_MODEL_BATCH="big")
    assert code == 2
    assert text == (
        "error: 2 settings cannot be used\n"
        f"  --device: must be {DEVICES}, not 'tpu'\n"
        "  STREAMCAM_MODEL_BATCH: must be a whole number, not 'big'\n"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[model]\n\nnmae = 'x'", 'line 3: model.nmae: unknown, did you mean "name"?'),
        ("[modle]\nname = 'x'", 'line 1: modle: unknown, did you mean "model"?'),
        ("model.batch = 0", "line 1: model.batch: must be 1 to 256, not 0"),
        ("[[camera]]\nname='a'\nurl='x'\n[[camera]]\nname='b'", "line 4: camera.1.url: is missing"),
        (
            "[[camera]]\nname='a'\nurl='x'\n['camera'.options] # FFmpeg's\n'a b' = 3",
            "line 5: camera.0.options.a b: must be text, not 3",
        ),
        ("model = { batch = 0 }", "line 1: model.batch: must be 1 to 256, not 0"),
        ("[model]\nname = 'nanoo'", "line 2: model.name: there is no detector named 'nanoo'"),
        ("model = 3", "line 1: model: must be a table, not 3"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_line(
    tell: Tell, tmp_path: Path, content: str, told: str
) -> None:
    (tmp_path / "c.toml").write_text(content)
    code, text = tell("config check c.toml")
    assert code == 78
    assert text.startswith(f"error: c.toml, {told}")


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        *(("--device gpu", 'device = "cuda"'), ("--device 1", 'device = "cuda:1"')),
        *(("--device 0,1", 'device = "cuda:0,cuda:1"'), ("--device All", 'device = "all"')),
        *(("--device CPU", 'device = "cpu"'), ("--device gpu:0", 'device = "cuda:0"')),
        *(("--precision float16", 'precision = "fp16"'), ("--precision half", '"fp16"')),
        *(("--method Grad-CAM++", 'method = "gradcam++"'), ("--method Eigen-CAM", '"eigencam"')),
    ],
)
def test_usual_words_of_other_tools_are_understood(flag: str, meant: str) -> None:
    name, value = flag.removeprefix("--").split()
    section = "cam" if name == "method" else "model"
    assert meant in to_toml(load_settings(flags={section: {name: value}}))
