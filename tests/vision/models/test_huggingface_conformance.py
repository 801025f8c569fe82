"""transformers' detectors keep what every family keeps."""

from collections.abc import Iterator

import pytest

from streamcam.vision.models.network import Network
from tests.vision.models.conformance import NetworkConformance
from tests.vision.models.tiny_detectors import CUT_TYPES, tiny_network


@pytest.fixture(scope="module", params=CUT_TYPES)
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    made = tiny_network(request.param)
    yield made
    made.close()


class TestHuggingFaceNetworks(NetworkConformance):
    pass
