"""The ultralytics package: imported without its side effects, and its models read from files."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from PIL import Image

from streamcam.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

# No look-up of hosts, no installing of packages, no messages on standard output.
_QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}

_SEED = 0


@cache
def ultralytics_tasks() -> ModuleType:
    """The module `ultralytics.nn.tasks`, which builds and reads models.

    Ultralytics keeps its settings in a file, in a folder that is removed again unless the user
    chose one (`YOLO_CONFIG_DIR`). What importing it changes for the whole process is restored: the
    environment (it bounds threads), OpenCV's threads, how numbers are printed, `torch.save`, and
    Pillow's `Image.open`, which would install packages.
    """
    with tempfile.TemporaryDirectory(prefix="streamcam-") as folder, _restored():
        os.environ.update(_QUIET)
        os.environ.setdefault("YOLO_CONFIG_DIR", folder)
        from ultralytics.nn import tasks

        found: ModuleType = tasks
    return found


@contextmanager
def _restored() -> Iterator[None]:
    """Undo what is changed for the whole process in the meantime."""
    environment, threads = dict(os.environ), cv2.getNumThreads()
    save, open_image = torch.save, Image.open
    try:
        with np.printoptions():
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        cv2.setNumThreads(threads)
        torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
        torch.save = save
        Image.open = open_image


def read_model(path: Path) -> "DetectionModel":
    """The `DetectionModel` of a checkpoint, float32, on the CPU. The file can run any code.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        model, _ = ultralytics_tasks().load_checkpoint(path)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].removeprefix("ERROR ❌️ ")
        raise WeightsError(
            f"{path} cannot be read as a model of Ultralytics: {reason or type(error).__name__}"
        ) from error
    return model


def build_model(description: str) -> "DetectionModel":
    """A model with the same random weights every time, of a YAML file or of Ultralytics' own.

    Raises:
        UsageError: There is no such description, or it is not one of a detector.
    """
    tasks = ultralytics_tasks()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        try:
            return tasks.DetectionModel(description, verbose=False)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise UsageError(
                f"{description} describes no detector of Ultralytics: {reason}"
            ) from error
