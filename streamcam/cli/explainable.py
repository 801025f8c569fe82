"""`streamcam models explainable`: tries a detector on one picture."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcam.audit.trial import SCENE, DetectorTrial, TriedLevel, TriedMethod, try_detector
from streamcam.cam_methods import METHODS
from streamcam.cli import options
from streamcam.cli.step_progress import StepReporter
from streamcam.cli.terminal import output, print_json, table
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.sinks.base import result_path
from streamcam.sinks.pictures import StillSink

_CORNERS = ("x1", "y1", "x2", "y2")

_BOXES = 10
"""Boxes that are listed, the most confident."""


@options.from_settings("output.folder", "model", "-model.name", "-model.batch", "cam.grid")
def explainable(
    name: Annotated[str, typer.Argument(help="A model's name, or its file or folder.")],
    flags: Tables,
    image: Annotated[
        str, typer.Option("--image", help="A picture or a video of your own.")
    ] = SCENE,
    config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Try a detector on one picture: its boxes, feature maps, and the methods that work with it.

    Builds the detector, runs the picture through it, makes a map by every method, and writes the
    picture with EigenCAM's map into `--output`.
    """
    named = {**flags, "model": {**flags["model"], "name": name}}
    settings = load_settings(config, os.environ, named)
    with StepReporter(quiet=quiet, lines=json) as steps:
        trial = try_detector(settings, image, progress=steps.step, fetching=steps.fetch)
    picture = _write(name, settings.output.local_folder, trial)
    if json:
        print_json({**_values(trial), "picture": str(picture)})
    elif not quiet:
        _print(trial, picture)


def _write(name: str, folder: Path, trial: DetectorTrial) -> Path:
    from streamcam.render.annotator import annotate

    stem = Path(name.replace(":", "/")).resolve().stem
    sink = StillSink(result_path(folder, stem, StillSink.result_file.ending))
    sink.write(trial.result, annotate(trial.result))
    return sink.finish()


def _values(trial: DetectorTrial) -> dict[str, Any]:
    engine = trial.engine
    return {
        "model": engine.model,
        "weights": engine.weights,
        "weights_sha256": engine.weights_sha256,
        "classes": list(engine.classes.values()),
        "confidence": engine.confidence,
        "device": engine.device,
        "precision": engine.precision,
        "canvas": list(trial.canvas),
        "detections": [
            {"label": one.label, "confidence": round(one.confidence, 4), "box": list(one.box)}
            for one in trial.result.detections
        ],
        "levels": [
            {
                "name": level.name,
                "shape": [level.channels, level.rows, level.columns],
                "stride": level.stride and list(level.stride),
            }
            for level in trial.levels
        ],
        "methods": {
            method.name: {"seconds": method.seconds, "reason": method.reason or None}
            for method in trial.methods
        },
    }


def _print(trial: DetectorTrial, picture: Path) -> None:
    engine, (height, width) = trial.engine, trial.canvas
    output().print(
        f"{engine.model}: {len(engine.classes)} classes, {engine.precision} on {engine.device}, "
        f"input {width}x{height}, weights {engine.weights}",
        soft_wrap=True,
    )
    _print_boxes(trial)
    _print_levels(trial.levels)
    _print_methods(trial.methods)
    if not trial.result.explanation.has_map:
        output().print("no map: the feature maps are not finite")
    output().print(f"picture: {picture}", soft_wrap=True)


def _print_boxes(trial: DetectorTrial) -> None:
    detections = trial.result.detections
    output().print(f"{len(detections)} boxes above {trial.engine.confidence:g}")
    rows = table("label", "confidence", *_CORNERS, right=("confidence", *_CORNERS))
    for one in detections[:_BOXES]:
        rows.add_row(one.label, f"{one.confidence:.2f}", *(f"{side:.0f}" for side in one.box))
    if detections:
        output().print(rows)


def _print_levels(levels: Sequence[TriedLevel]) -> None:
    rows = table("feature map", "channels", "cells", "stride", right=("channels", "stride"))
    for level in levels:
        stride = "" if level.stride is None else "x".join(f"{one:g}" for one in set(level.stride))
        cells = f"{level.columns}x{level.rows}"
        rows.add_row(level.name, str(level.channels), cells, stride)
    output().print(rows)


def _print_methods(methods: Sequence[TriedMethod]) -> None:
    rows = table("method", "one map", "", right=("one map",), fold=("",))
    for method in methods:
        took = "" if method.seconds is None else f"{method.seconds * 1000:.0f} ms"
        rows.add_row(method.name, took or "no", method.reason or METHODS[method.name].meaning)
    output().print(rows)
