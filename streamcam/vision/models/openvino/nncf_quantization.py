"""Post-training quantization of an OpenVINO model by NNCF."""

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import openvino
from numpy.typing import NDArray

Feeds: TypeAlias = Mapping[str, NDArray[Any]]
"""A model's inputs by name."""

# What makes boxes and scores of a head's outputs, where a file holds that too, has ranges of its
# own (pixels beside shares), and takes no time (NNCF's examples for detectors leave them out too).
_IGNORED = ("Sigmoid", "Softmax", "Subtract", "Range", "TopK", "NonMaxSuppression")

# Of transformers other operations are left out too.
_TRANSFORMER = {"MVN", "ScaledDotProductAttention"}

# Layers that are brought back to float at most. A detector has 30 to 100; the speed is gone when
# more than a few of the large ones are in float.
_MAX_RESTORED = 10

# Frames by which layers are ranked: one trial for each layer.
_RANKING_FRAMES = 4

# How long the search for layers that hurt may take.
_SEARCH_SECONDS = 900.0


class Judgement(NamedTuple):
    """How far a candidate agrees with the float model."""

    total: float  # 1 if it agrees as far as is wanted, less if not
    values: Sequence[float]  # of each frame, 0..1


Judge: TypeAlias = Callable[[openvino.CompiledModel, Sequence[int]], Judgement]
"""Compares a compiled candidate with the float model on frames by number."""


def quantized(
    model: openvino.Model,
    feeds: Iterable[Feeds],
    *,
    count: int,
    judge: Judge,
    judged: int,
) -> openvino.Model:
    """Quantize weights and activations to int8, all but the layers that this hurts.

    Activations get asymmetric ranges, weights symmetric ones (NNCF's preset "mixed"). Where the
    result agrees less than is wanted, layers are ranked by the harm that they do, and the worst
    are brought back to float (NNCF's accuracy control).

    Args:
        model: In float32; not changed.
        feeds: Inputs for calibration; read more than once.
        count: How many those are.
        judge: Its frames should not be those that the result is measured on in the end.
        judged: How many frames it has.
    """
    control = _AccuracyControl(judge)
    with _quiet():
        import nncf

        result: openvino.Model = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(feeds),
            nncf.Dataset(range(judged)),
            validation_fn=control.validate,
            max_drop=0.0,
            drop_type=nncf.DropType.ABSOLUTE,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=count,
            model_type=nncf.ModelType.TRANSFORMER if _is_transformer(model) else None,
            ignored_scope=nncf.IgnoredScope(types=list(_IGNORED), validate=False),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=_MAX_RESTORED, ranking_subset_size=_RANKING_FRAMES
            ),
        )
    return result


def save(model: openvino.Model, graph: Path) -> None:
    """Write a model into an `.xml` file and a `.bin` file beside it.

    What is not quantized stays in float32: it is small, and box coordinates need that.
    """
    openvino.save_model(model, graph, compress_to_fp16=False)


class _AccuracyControl:
    """What NNCF asks for each candidate, its time limited."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._deadline: float | None = None

    def validate(
        self, model: openvino.CompiledModel, frames: Iterable[int]
    ) -> tuple[float, list[float]]:
        """A candidate's judgement, as NNCF takes it; the search ends at a total of one.

        When there is no time left everything is good enough, which ends it too.
        """
        numbers = list(frames)
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + _SEARCH_SECONDS
        if now > self._deadline:
            return 1.0, [1.0] * len(numbers)
        judgement = self._judge(model, numbers)
        return judgement.total, list(judgement.values)


def _is_transformer(model: openvino.Model) -> bool:
    return any(operation.get_type_name() in _TRANSFORMER for operation in model.get_ops())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's log and its bars from the terminal, which shows progress of our own."""
    loggers = [logging.getLogger(name) for name in ("nncf", "torch.utils.cpp_extension")]
    levels = [logger.level for logger in loggers]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
