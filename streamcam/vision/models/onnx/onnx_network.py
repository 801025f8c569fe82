"""An ONNX file as a network: boxes and feature maps from one run of ONNX Runtime."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from streamcam.vision.cam.geometry import Letterbox
from streamcam.vision.cpu.tuning import threads_of_size
from streamcam.vision.models.network import (
    Candidates,
    Levels,
    Network,
    Raw,
    to_original,
)
from streamcam.vision.models.network_graph import Named, NetworkGraph
from streamcam.vision.models.onnx.graph_parts import tail_of, with_outputs
from streamcam.vision.models.onnx.inspection import Inspection
from streamcam.vision.models.onnx.layout import Layout
from streamcam.vision.models.onnx.onnx_session import OnnxSession


class OnnxNetwork(Network):
    """The detector of an ONNX file.

    It can be run from its feature maps where its outputs follow from them alone; gradients it has
    none.

    Args:
        found: What `inspect_file` found, with a layout and with levels.
        device: Where it computes; a GPU needs an ONNX Runtime that is made for it.

    Raises:
        WeightsError: ONNX Runtime cannot run it.
        DeviceError: ONNX Runtime cannot use the GPU.
    """

    def __init__(self, found: Inspection, device: torch.device) -> None:
        assert isinstance(found.layout, Layout)
        assert found.sizing is not None
        assert found.where is not None
        file, notes, levels = found.file, found.notes, [one.name for one in found.levels]
        threads = threads_of_size(device, file.weight_count)
        self._model = with_outputs(file.model, levels)
        self._session = OnnxSession(file.path, self._model, device, threads=threads)
        dtypes = {name: self._session.dtype(name) for name in levels}
        tail = tail_of(file.model, dtypes, found.layout.outputs)
        ids = notes.ids if notes else range(len(found.names))
        super().__init__(
            sizing=found.sizing,
            levels=found.where,
            categories=dict(zip(ids, found.names.values(), strict=True)),
            confidence=notes.confidence if notes else found.layout.confidence,
            suppress=notes.suppress if notes else found.layout.suppress,
            replayable=tail is not None,
            device=device,
            dtype=dtypes[levels[0]],
            weight_count=file.weight_count,
        )
        self._tail = None
        if tail is not None:
            self._tail = OnnxSession(file.path, tail, device, threads=threads)
        self._layout = found.layout
        self._inputs = found.inputs
        self._dtypes = dtypes
        self._ids = torch.tensor(ids, device=device) if notes else None
        # How many pictures a run takes; None for any number.
        self._per_run = found.inputs.batch if found.layout.has_batch else 1

    def forward(self, canvas: Tensor, placements: Sequence[Letterbox]) -> tuple[Raw, Levels]:
        runs = [self._session(feeds) for feeds in self._feeds(canvas, placements)]
        return self._results(runs, placements)

    def graph(self) -> NetworkGraph | None:
        return NetworkGraph(
            model=self._model,
            trial=self.sizing.trial_canvas,
            canvas=self.sizing.canvas,
            inputs=self._feeds,
            results=self._results,
        )

    def from_levels(self, levels: Levels, placements: Sequence[Letterbox]) -> Raw:
        assert self._tail is not None
        runs = [
            self._tail({name: levels[name][part].to(dtype) for name, dtype in self._dtypes.items()})
            for part in self._parts(len(placements))
        ]
        return self._raw(runs, len(placements))

    def decode(
        self, raw: Raw, placements: Sequence[Letterbox], threshold: float
    ) -> list[Candidates]:
        found = []
        for index, placement in enumerate(placements):
            own = self._layout.decode(raw, index, placement, threshold)
            ids = own.class_ids if self._ids is None else self._ids[own.class_ids]
            found.append(Candidates(to_original(own.boxes, placement), own.scores, ids))
        return found

    def _feeds(self, canvas: Tensor, placements: Sequence[Letterbox]) -> list[dict[str, Tensor]]:
        return [
            self._inputs.feeds(canvas[part], [placements[i] for i in part])
            for part in self._parts(len(canvas))
        ]

    def _results(
        self, runs: Sequence[Named], placements: Sequence[Letterbox]
    ) -> tuple[Raw, Levels]:
        count = len(placements)
        levels = {name: _cat([run[name] for run in runs])[:count].float() for name in self._dtypes}
        return self._raw(runs, count), levels

    def _parts(self, count: int) -> list[list[int]]:
        """The numbers of the pictures of each run, the last one repeated where some are missing."""
        size = self._per_run or count
        starts = range(0, count, size)
        return [[min(start + i, count - 1) for i in range(size)] for start in starts]

    def _raw(self, runs: Sequence[Mapping[str, Tensor]], count: int) -> Raw:
        join = _cat if self._layout.has_batch else _stack
        return {name: join([run[name] for run in runs])[:count] for name in self._layout.outputs}


def _cat(outputs: list[Tensor]) -> Tensor:
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _stack(outputs: list[Tensor]) -> Tensor:
    """Pictures' own outputs with a dimension for the batch; zeros where others have more boxes."""
    return pad_sequence(outputs, batch_first=True)
