"""The HTTP interface stays as it is, unless a change is deliberate."""

from tests.golden.snapshot import matches
from tests.service.http.conftest import Serve
from tests.service.http.fake_status import FakeStatus


def test_the_http_interface(serve: Serve, fake: FakeStatus) -> None:
    answer = serve(fake)("/openapi.json").json
    del answer["info"]["version"]
    matches("openapi", answer)
