"""The Python API: pictures in, boxes and maps out.

from streamcam import Explainer

with Explainer() as explainer:
    result = explainer(picture)          # RGB, uint8, [height, width, 3]
    for found in result.detections:
        print(found.label, found.confidence, found.box, found.focus.lift)
    result.explanation.map               # float32, 0..1, spans the picture
    for result in explainer.explain_video("clip.mp4", max_fps=2):
        print(result.frame.time, len(result.detections))
"""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, Self, overload

import numpy as np

from streamcam.config import Settings
from streamcam.errors import UsageError
from streamcam.explained import Explained
from streamcam.pipeline.stream import Sampler
from streamcam.sources.inputs import open_source
from streamcam.types import Frame, Picture
from streamcam.vision.build import build_engine
from streamcam.vision.cam.eigencam import Grid
from streamcam.vision.devices import Precision
from streamcam.vision.engine_io import EngineDescription
from streamcam.vision.engine_options import CamOptions, ModelOptions
from streamcam.vision.methods.attribution import Explain
from streamcam.vision.models.download import Progress

_UNRELATED = "pictures"

_DEFAULTS = Settings()
_MODEL, _CAM, _SAMPLING = _DEFAULTS.model, _DEFAULTS.cam, _DEFAULTS.sampling


class Explainer:
    """A detector with maps of what it responds to. For one thread; a context manager.

    Args:
        model: The detector's name: "nano", one of torchvision's, "hf:ORGANISATION/NAME" of the
            Hugging Face hub, or a model's file or folder.
        weights: None for the published (or built-in) ones, a checkpoint, or "random".
        labels: Names of the classes of `weights`: one a line, or JSON.
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32", "fp16" or "bf16".
        confidence: Score from which a detection counts, 0..1; None for the model's preset.
        classes: Labels of the detections that are wanted; None for all.
        grid: "fine" for maps of about 16 network pixels a cell, "pool" for the published recipe's.
        method: "eigencam", or why boxes got their scores: "layercam", "hirescam", "gradcam", ...
        explain: With another method, "box" for a map of each box (`detection.why.map`), "frame" for
            one of all together.
        why_top: Maximum number of boxes of a picture that are explained, the most confident.
        batch: Maximum number of pictures in one forward pass.
        imgsz: Pixels of the longer side of the detector's input; None for its own size.
        layer: Layers whose feature maps the map is made of; empty for those that are found.
        layout: What an ONNX file's outputs are, "auto" to find out.
        trust: Open model files that can run any code while they are read.
        progress: Called during downloads: file name, bytes so far, bytes in all if known.

    Raises:
        UsageError: There is no such model, device, precision, class or method.
        WeightsError: The weights cannot be used, or are neither here nor can be fetched.
        DeviceError: The GPU is missing or failed.
    """

    def __init__(
        self,
        model: str = _MODEL.name,
        *,
        weights: Path | Literal["random"] | None = None,
        labels: Path | None = None,
        device: str = _MODEL.device,
        precision: Precision = _MODEL.precision,
        confidence: float | None = None,
        classes: Sequence[str] | None = None,
        grid: Grid = _CAM.grid,
        method: str = _CAM.method,
        explain: Explain = _CAM.explain,
        why_top: int = _CAM.why_top,
        batch: int = _MODEL.batch,
        imgsz: int | None = _MODEL.imgsz,
        layer: Sequence[str] = _MODEL.layer,
        layout: str = _MODEL.layout,
        trust: bool = _MODEL.trust,
        progress: Progress | None = None,
    ) -> None:
        self._counts: Counter[str] = Counter()
        self._engine = build_engine(
            ModelOptions(
                name=model,
                weights=weights,
                labels=labels,
                library=None,
                device=device,
                precision=precision,
                confidence=confidence,
                classes=classes or (),
                batch=batch,
                imgsz=imgsz,
                layer=layer,
                layout=layout,
                trust=trust,
            ),
            CamOptions(method=method, explain=explain, why_every=1, why_top=why_top, grid=grid),
            progress=progress,
        )

    @property
    def description(self) -> EngineDescription:
        return self._engine.description

    @overload
    def __call__(
        self, pictures: Picture, *, video: str | None = None, rate: Fraction | int = 5
    ) -> Explained: ...

    @overload
    def __call__(
        self, pictures: Sequence[Picture], *, video: str | None = None, rate: Fraction | int = 5
    ) -> list[Explained]: ...

    def __call__(
        self,
        pictures: Picture | Sequence[Picture],
        *,
        video: str | None = None,
        rate: Fraction | int = 5,
    ) -> Explained | list[Explained]:
        """Explain one picture, or several of any sizes in as few forwards as possible.

        Args:
            pictures: RGB, uint8, [height, width, 3]; one, or a sequence of them. Arrays that are
                read-only or not contiguous (`bgr[..., ::-1]`) are copied.
            video: Unrelated pictures by default. With a name they are the next frames of the video
                of that name, whose maps keep their sign, component and range from call to call.
            rate: Of that video's pictures, in frames a second.

        Returns:
            One result for one picture, and a list in the same order for several.

        Raises:
            UsageError: Something is not a picture.
            DeviceError: The GPU failed.
        """
        several = [pictures] if isinstance(pictures, np.ndarray) else list(pictures)
        frames = [self._frame(picture, video, Fraction(rate)) for picture in several]
        results = [Explained.of(result) for result in self._engine.explain(frames)]
        if video is None:
            self._engine.forget(_UNRELATED)
        return results[0] if isinstance(pictures, np.ndarray) else results

    def explain_video(
        self,
        path: str | Path,
        *,
        max_fps: float = _SAMPLING.max_fps,
        every: int | None = None,
        start: float = 0.0,
        end: float | None = None,
    ) -> Generator[Explained]:
        """Explain the frames of a video, in batches, as they are asked for.

        Args:
            path: A file, a picture too, or the URL of one, or `demo://street`.
            max_fps: Explained frames per second of the video's own time.
            every: Explain every n-th frame instead.
            start: Seconds of the video that are skipped.
            end: Second at which to stop; None for its end.

        Yields:
            One result for each explained frame, in order.

        Raises:
            SourceError: It cannot be opened, or becomes unreadable; what came before is good.
            DeviceError: The GPU failed.
        """
        sampler = Sampler(max_fps=max_fps, every=every, start=start, end=end)
        with closing(open_source(str(path))) as source:
            frames = source.frames(sampler)
            try:
                while batch := list(islice(frames, self._engine.batch)):
                    yield from map(Explained.of, self._engine.explain(batch))
            finally:
                self._engine.forget(source.info.id)

    def _frame(self, picture: Picture, video: str | None, rate: Fraction) -> Frame:
        source = _UNRELATED if video is None else video
        index = self._counts[source]
        self._counts[source] += 1
        return Frame(
            source=source,
            index=index,
            pts=index,
            time_base=1 / rate,
            time=float(index / rate),
            picture=_checked(picture),
            discontinuity=video is None,
        )

    def forget(self, video: str) -> None:
        del self._counts[video]
        self._engine.forget(video)

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _checked(picture: object) -> Picture:
    """The picture itself, or a copy if its memory is read-only or in another order."""
    if not isinstance(picture, np.ndarray):
        given = type(picture).__name__
    elif picture.dtype != np.uint8 or picture.shape[2:] != (3,) or 0 in picture.shape:
        given = f"{picture.dtype} of shape {list(picture.shape)}"
    else:
        # torch takes neither negative strides nor, without a warning, read-only memory.
        return np.require(picture, np.uint8, ["C_CONTIGUOUS", "WRITEABLE", "ENSUREARRAY"])
    raise UsageError(f"a picture must be an RGB array, uint8 [height, width, 3], not {given}")
