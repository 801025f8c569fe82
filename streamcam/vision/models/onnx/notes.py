"""What an export notes in a file's metadata: how streamcam uses it, exactly as the original."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamcam.errors import WeightsError
from streamcam.vision.models.network import FeatureLevels, Network, Sizing

KEY = "streamcam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """How an exported network is used.

    Attributes:
        layout: The name of its outputs' layout.
        levels: The tensors that hold its feature maps.
        where: Where those maps' cells lie, by these names.
        ids: The class ids by the outputs' class numbers.
    """

    layout: str
    sizing: Sizing
    levels: Sequence[str]
    where: FeatureLevels
    confidence: float
    suppress: float | None
    ids: Sequence[int]

    @classmethod
    def of(
        cls, network: Network, layout: str, levels: Sequence[str], suppress: float | None
    ) -> "Notes":
        """The notes for a network.

        Args:
            network: The original.
            layout: The name of the export's layout.
            levels: The names of the network's levels.
            suppress: As for the export, see `Network`.
        """
        own = network.levels
        return cls(
            layout=layout,
            sizing=network.sizing,
            levels=[tensor_of(name) for name in levels],
            where=FeatureLevels(
                {tensor_of(name): stride for name, stride in own.strides.items()},
                own.centre,
                tensor_of(own.fine),
                tensor_of(own.pool),
            ),
            confidence=network.confidence,
            suppress=suppress,
            ids=list(network.categories),
        )

    @classmethod
    def read(cls, text: str) -> "Notes":
        """Raises a `WeightsError` for text that `write` did not give."""
        try:
            noted = json.loads(text)
            noted["sizing"] = Sizing(**_with_tuples(noted["sizing"]))
            noted["where"]["strides"] = _with_tuples(noted["where"]["strides"])
            noted["where"] = FeatureLevels(**noted["where"])
            return cls(**noted)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"its notes on how streamcam uses it are damaged: {error}", hint="Export it again."
            ) from error

    def write(self) -> str:
        return json.dumps(asdict(self))


def tensor_of(level: str) -> str:
    """The name of a level's tensor in an export."""
    return f"level_{level}"


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
