"""The HTTP interface stays as it is, unless a change is deliberate."""

from tests.golden.snapshot import matches
from tests.service.http.conftest import Serve
from tests.service.http.stage import Stage


def test_the_http_interface(serve: Serve, stage: Stage) -> None:
    told = serve(stage)("/openapi.json").json
    del told["info"]["version"]
    matches("openapi", told)
