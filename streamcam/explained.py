"""What an `Explainer` returns: results that can be looked at, as picture, plot and table.

In Jupyter a result shows itself: the annotated picture, and a row for each detection.
"""

import base64
import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import cv2

from streamcam.cam_methods import find_method
from streamcam.errors import UsageError
from streamcam.render import Style, annotate
from streamcam.types import Detection, FrameResult, Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = (
    *("source", "frame", "time", "label", "class_id", "confidence", "x1", "y1", "x2", "y2"),
    *("energy", "lift", "peak_inside", "why_lift", "flicker"),
)
"""Of the tables: a row for each detection. `why_lift` is of the map of the box alone; it is missing
with a class-agnostic method, as `flicker` is for the first frame."""

_TYPES = {"frame": "int64", "class_id": "int64", "peak_inside": "bool", "source": str, "label": str}

_DISPLAYED = 960
"""Pixels of the longer side of a picture in a notebook."""
_QUALITY = 85

_HINT = "Install them with: pip install 'streamcam[notebook]'"


class Explained(FrameResult):
    """An explained picture: its detections, most confident first, and the map."""

    @classmethod
    def of(cls, result: FrameResult) -> "Explained":
        return cls(result.frame, result.detections, result.explanation)

    def annotated(self, style: Style | None = None) -> Picture:
        """Return the picture with heat, boxes and labels; RGB, uint8, [height, width, 3]."""
        return annotate(self, style)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each detection, with the columns `COLUMNS`.

        Raises:
            UsageError: pandas is not installed.
        """
        return table([self])

    def plot(self, axes: "Axes | None" = None, style: Style | None = None) -> "Axes":
        """Draw the annotated picture with matplotlib.

        Args:
            axes: Where to; None for a new figure.
            style: Colours and opacity of the heat.

        Raises:
            UsageError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError:
            raise UsageError("plots need matplotlib, which is not installed", hint=_HINT) from None
        if axes is None:
            axes = plt.subplots(layout="constrained")[1]
        axes.imshow(self.annotated(style))
        axes.set_axis_off()
        axes.set_title(f"{self.frame.source}, {self.frame.time:.2f} s", fontsize="small")
        return axes

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}>"

    def _summary(self) -> str:
        frame = self.frame
        counts: dict[str, int] = {}
        for detection in self.detections:
            counts[detection.label] = counts.get(detection.label, 0) + 1
        found = ", ".join(f"{count} {label}" for label, count in counts.items())
        method = find_method(self.explanation.method).label
        place = f"{frame.source}, frame {frame.index}, {frame.time:.2f} s"
        return f"{place}: {found or 'nothing found'} ({method})"

    def _repr_html_(self) -> str:
        rows = "".join(map(_row, self.detections))
        heading = "".join(
            f"<th>{title}</th>" for title in ("", "confidence", "lift", "peak inside", "box")
        )
        return (
            f"<figure><img src='data:image/jpeg;base64,{self._jpeg()}' style='max-width:100%'>"
            f"<figcaption>{html.escape(self._summary())}</figcaption></figure>"
            f"<table><tr>{heading}</tr>{rows}</table>"
        )

    def _jpeg(self) -> str:
        picture = self.annotated()
        scale = _DISPLAYED / max(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        done, content = cv2.imencode(
            ".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        assert done, "OpenCV writes JPEG"
        return base64.b64encode(content.tobytes()).decode()


def table(results: Iterable[FrameResult]) -> "pd.DataFrame":
    """Return the detections of pictures, or of a video's frames, as a table.

    Returns:
        A row for each detection, with the columns `COLUMNS`: times in seconds, boxes in pixels,
        `energy` and `confidence` 0..1.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("tables need pandas, which is not installed", hint=_HINT) from None
    rows = [_values(result, found) for result in results for found in result.detections]
    numbers = dict.fromkeys(COLUMNS, "float64") | _TYPES
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers)


def _values(result: FrameResult, detection: Detection) -> tuple[Any, ...]:
    frame, focus, why = result.frame, detection.focus, detection.why
    return (
        *(frame.source, frame.index, frame.time),
        *(detection.label, detection.class_id, detection.confidence, *detection.box),
        *(focus.energy, focus.lift, focus.peak_inside),
        *(None if why is None else why.focus.lift, result.explanation.flicker),
    )


def _row(detection: Detection) -> str:
    focus = detection.focus
    cells = (
        html.escape(detection.label),
        f"{detection.confidence:.0%}",
        f"{focus.lift:.1f}",
        "yes" if focus.peak_inside else "no",
        ", ".join(f"{edge:.0f}" for edge in detection.box),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
