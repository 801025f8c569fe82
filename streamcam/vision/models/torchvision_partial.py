"""A detector's later parts, run again: on another canvas, or on activations that are given.

What explains a box asks the same network the same question many times, with a little changed. The
preparation of the picture, and the backbone where the activations are given, are left out.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.models.torchvision_transform import Prepared


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found in one picture, on its device, the graph attached if there is one.

    Attributes:
        boxes: float32 [found, 4]: x1, y1, x2, y2 in the original picture's pixels.
        scores: float32 [found], 0..1, falling.
        class_ids: int64 [found].
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor

    @classmethod
    def of(cls, found: Mapping[str, Tensor]) -> "Found":
        """Take over a result in torchvision's form."""
        return cls(found["boxes"].float(), found["scores"].float(), found["labels"])


class PartialForward:
    """Runs parts of a network; the network itself is as before after every call.

    Args:
        network: Of torchvision's interface, evaluating; takes `Prepared` pictures.
        watched: Path of the module in it whose output is the activations.
    """

    def __init__(self, network: nn.Module, watched: str) -> None:
        self._network = network
        self._watched = watched

    def on_canvas(
        self, canvas: Tensor, placements: Sequence[Letterbox], least: float
    ) -> list[Found]:
        """Look at prepared pictures.

        Args:
            canvas: float32, [batch, 3, height, width], normalised.
            placements: Where each picture lies on it.
            least: Score from which detections are made.
        """
        with _threshold(self._network, least):
            found = self._network(Prepared(canvas, placements))
        return [Found.of(one) for one in found]

    def on_levels(
        self, levels: Mapping[str, Tensor], placements: Sequence[Letterbox], least: float
    ) -> list[Found]:
        """Go on from given activations; differentiable with respect to them.

        Args:
            levels: float32, each [batch, channels, rows, columns].
            placements: Where each picture lies on the canvas.
            least: Score from which detections are made.
        """
        first = next(iter(levels.values()))
        # Of the canvas only its size matters from here on.
        canvas = first.new_empty(1).expand(len(placements), 3, *placements[0].canvas)
        with _replaced(self._network, self._watched, _Fixed(levels)):
            return self.on_canvas(canvas, placements, least)


class _Fixed(nn.Module):
    """Stands for a backbone whose activations are known."""

    def __init__(self, levels: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._levels = OrderedDict(levels)

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:  # noqa: ARG002
        return self._levels


@contextmanager
def _replaced(network: nn.Module, path: str, stand_in: nn.Module) -> Iterator[None]:
    parent_path, _, name = path.rpartition(".")
    parent = network.get_submodule(parent_path)
    own = getattr(parent, name)
    setattr(parent, name, stand_in)
    try:
        yield
    finally:
        setattr(parent, name, own)


@contextmanager
def _threshold(network: nn.Module, least: float) -> Iterator[None]:
    heads = getattr(network, "roi_heads", network)
    own = heads.score_thresh
    heads.score_thresh = least
    try:
        yield
    finally:
        # Another thread may have chosen a new one meanwhile.
        if heads.score_thresh == least:
            heads.score_thresh = own
