"""The detector families: those of streamcam, and those that other distributions bring.

A distribution brings a family by an entry point of the group `streamcam.detectors`, whose name is
the family's and whose object is a `Family` without arguments:

    [project.entry-points."streamcam.detectors"]
    mine = "my_package.detectors:MyFamily"

Its models are then called `mine`, or `mine:` and whatever the family makes of the rest; or they are
files, which the family knows by their names.
"""

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from streamcam.errors import UsageError
from streamcam.vision.models.family import Family
from streamcam.vision.models.huggingface import HuggingFaceFamily
from streamcam.vision.models.names import ENTRY_POINTS, unknown_model
from streamcam.vision.models.nano import NanoFamily
from streamcam.vision.models.onnx_family import OnnxFamily
from streamcam.vision.models.torchvision import TorchvisionFamily

_log = logging.getLogger(__name__)

_BUILT_IN: tuple[Family, ...] = (
    NanoFamily(),
    TorchvisionFamily(),
    HuggingFaceFamily(),
    OnnxFamily(),
)


def find_family(name: str) -> Family:
    """The family of a model.

    Raises:
        UsageError: There is no model of that name, or its plug-in cannot be imported.
    """
    for family in _BUILT_IN:
        if family.has(name):
            return family
    plug_in = _plug_ins().get(name.partition(":")[0])
    others = families() if plug_in is None else [_load(plug_in)]
    for family in others:
        if family.has(name):
            return family
    raise unknown_model(name, model_names())


def model_names() -> list[str]:
    """Every model's name, the default first; of plug-ins those that they name."""
    return [name for family in families() for name in family.names()]


def families() -> list[Family]:
    """All families; a plug-in that cannot be imported is left out with a warning."""
    found = list(_BUILT_IN)
    for plug_in in _plug_ins().values():
        try:
            found.append(_load(plug_in))
        except UsageError as error:
            _log.warning("%s", error.message)
    return found


def _plug_ins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


@cache
def _load(plug_in: EntryPoint) -> Family:
    try:
        family = plug_in.load()()
    except Exception as error:
        raise UsageError(
            f"the detector plug-in {plug_in.name} ({plug_in.value}) cannot be used: {error}",
            hint="Reinstall it, or remove it.",
        ) from error
    if not isinstance(family, Family):
        raise UsageError(f"the detector plug-in {plug_in.name} ({plug_in.value}) is not a Family")
    for name in family.names():
        if name.partition(":")[0] != plug_in.name:
            raise UsageError(
                f"the detector plug-in {plug_in.name} names a model {name!r}",
                hint=f"Its models must be called {plug_in.name} or {plug_in.name}:MODEL.",
            )
    return family
