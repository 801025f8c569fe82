"""What the command line settles before torch is loaded."""

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import environment

SETTLED = """
import json, os
from streamcam.cli.app import share_cores
share_cores()
print(json.dumps([os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")]))
"""


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ["PASSIVE", "10000"]),
        ({"GOMP_SPINCOUNT": "7"}, ["PASSIVE", "7"]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["ACTIVE", None]),
    ],
)
def test_how_threads_wait_is_settled_unless_the_user_has(
    own: dict[str, str], expected: list[str | None]
) -> None:
    variables = {k: v for k, v in environment().items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", SETTLED], env=variables | own, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == expected
