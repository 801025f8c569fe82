"""Ultralytics' detectors by file: checkpoints (`.pt`), and descriptions (`.yaml`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.errors import UsageError, WeightsUnavailableError
from streamcam.vision.models.checkpoints import check_finite, read_labels
from streamcam.vision.models.download import sha256
from streamcam.vision.models.family import Family, Loaded, LoadOptions
from streamcam_ultralytics.library import build_model, read_model, ultralytics_tasks
from streamcam_ultralytics.network import UltralyticsNetwork

if TYPE_CHECKING:
    from ultralytics.nn.modules import Detect
    from ultralytics.nn.tasks import DetectionModel

_CHECKPOINT, _DESCRIPTION = ".pt", ".yaml"

_PREFIX = "ultralytics:"  # as all models of a plug-in may be called

_IMAGE_SIZE = 640  # Ultralytics' own where a model names none

_COLOURS = 3


_SUPPRESSED, _END_TO_END = "yolo", "end2end"
"""The layouts of the outputs: boxes to be suppressed, and each object once."""


class UltralyticsFamily(Family):
    """YOLO detectors in Ultralytics' files: `yolo11n.pt`; `yolo11n.yaml` with random weights."""

    takes = frozenset({"layout"})

    def names(self) -> Sequence[str]:
        return []

    def has(self, name: str) -> bool:
        return Path(name).suffix.lower() in {_CHECKPOINT, _DESCRIPTION}

    def load(self, name: str, options: LoadOptions) -> Loaded:
        name = name.removeprefix(_PREFIX)
        if isinstance(options.weights, Path):
            raise UsageError(
                f"{name} takes no other weights", hint="Name the file itself: --model."
            )
        if Path(name).suffix.lower() == _DESCRIPTION:
            return Loaded(_network(name, build_model(name), options), "random", None)
        if options.weights == "random":
            raise UsageError(
                f"{name} has weights of its own",
                hint="A description has random ones: --model yolo11n.yaml.",
            )
        path = Path(name)
        _check_file(path, options)
        digest = sha256(path)
        model = read_model(path)
        check_finite(dict(model.named_parameters()), path)
        return Loaded(_network(name, model, options), name, digest)

    def weights_file(self, name: str) -> Path | None:
        path = Path(name.removeprefix(_PREFIX))
        return path if path.suffix.lower() == _CHECKPOINT else None


def _check_file(path: Path, options: LoadOptions) -> None:
    if not path.is_file():
        raise WeightsUnavailableError(
            f"there is no file {path}",
            hint="Checkpoints are not downloaded: fetch it with Ultralytics' own tools.",
        )
    if not options.trust:
        raise UsageError(
            f"{path} is a pickle, which can run any code when it is opened",
            hint="If you trust where it is from: --trust.",
        )


def _network(name: str, model: "DetectionModel", options: LoadOptions) -> UltralyticsNetwork:
    _check_detector(name, model)
    _choose_head(name, model.model[-1], options.layout)
    categories: Mapping[int, str] = {int(key): str(label) for key, label in model.names.items()}
    if options.labels is not None:
        categories = read_labels(options.labels, categories)
    image_size = options.imgsz or _image_size(model)
    return UltralyticsNetwork(model, image_size, categories, options)


def _check_detector(name: str, model: "DetectionModel") -> None:
    """Refuse what is no detector, or one whose head works in another way."""
    head = model.model[-1]
    tasks = ultralytics_tasks()
    if type(head) not in {tasks.Detect, tasks.v10Detect}:
        task = tasks.guess_model_task(model)
        raise UsageError(
            f"{name} is no YOLO detector: its task is {task!r}, its head {type(head).__name__}",
            hint="Use a model for detection, such as yolo11n.pt.",
        )
    channels = model.yaml.get("channels", _COLOURS)
    if channels != _COLOURS:
        raise UsageError(f"{name} takes pictures of {channels} channels, not of {_COLOURS}")


def _choose_head(name: str, detect: "Detect", layout: str) -> None:
    """Set which branches predict: as in Ultralytics those to be suppressed, if it has them."""
    has = {
        _SUPPRESSED: detect.cv2 is not None,
        _END_TO_END: getattr(detect, "one2one_cv2", None) is not None,
    }
    present = [one for one, is_there in has.items() if is_there]
    if layout not in {"auto", *present}:
        raise UsageError(
            f"{name} has no outputs of the layout {layout!r}", hint=f"It has {', '.join(present)}."
        )
    detect.end2end = layout == _END_TO_END or not has[_SUPPRESSED]


def _image_size(model: "DetectionModel") -> int:
    """Pixels of the longer side, as Ultralytics predicts: what the model was trained with."""
    size = getattr(model, "args", {}).get("imgsz", _IMAGE_SIZE)
    return int(max(size) if isinstance(size, list | tuple) else size)
