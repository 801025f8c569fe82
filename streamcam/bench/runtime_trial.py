"""A short trial of the built-in detector in torch and in OpenVINO: what this machine gains."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from streamcam.config import Settings
from streamcam.errors import StreamcamError
from streamcam.pipeline.engine_provider import build_engine
from streamcam.pipeline.stream import Sampler
from streamcam.sources.inputs import open_source
from streamcam.types import Picture

if TYPE_CHECKING:
    from streamcam.vision.engine import Engine

_PLACES = (("cpu", "auto"), ("intel:cpu", "auto"), ("intel:cpu", "int8"))

_PICTURE = "demo://street"

# The first run chooses and loads the CPU's kernels.
_RUNS = 10


def runtime_facts() -> dict[str, str]:
    """Milliseconds that `nano` takes for a picture on the CPU, by runtime and precision.

    It takes some seconds; "x" is the speed over the first. What cannot run has the reason instead.
    """
    picture = next(iter(open_source(_PICTURE).frames(Sampler(every=1)))).picture
    facts: dict[str, str] = {}
    with ExitStack() as opened:
        engines: dict[str, Engine] = {}
        for device, precision in _PLACES:
            runtime = "torch" if device == "cpu" else "OpenVINO"
            try:
                engine = opened.enter_context(_engine(device, precision))
            except StreamcamError as error:
                facts[f"{runtime} {precision}"] = f"{error.message}; {error.hint}"
                continue
            engines[f"{runtime} {engine.description.precision}"] = engine
        times = _times(engines, picture)
    first = next(iter(times.values()), 0.0)
    return {
        name: f"{1000 * seconds:.1f} ms a picture, {first / seconds:.2f} x"
        for name, seconds in times.items()
    } | facts


def _engine(device: str, precision: str) -> "Engine":
    return build_engine(
        Settings.model_validate({"model": {"device": device, "precision": precision}})
    )


def _times(engines: Mapping[str, "Engine"], picture: Picture) -> dict[str, float]:
    """The shortest of several forwards of one picture, in turns; seconds by engine."""
    times = dict.fromkeys(engines, float("inf"))
    for _ in range(_RUNS):
        for name, engine in engines.items():
            detector = engine.detector
            prepared = detector.preprocess(detector.upload([picture]))
            with engine.forwarding():
                start = time.perf_counter()
                detector.forward(prepared)
                times[name] = min(times[name], time.perf_counter() - start)
    return times
