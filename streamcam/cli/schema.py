"""`streamcam schema`: the shape of what is written."""

from typing import Annotated

import orjson
import typer

from streamcam import schemas
from streamcam.errors import UsageError


def schema(
    name: Annotated[str, typer.Argument(help="`record` (a JSON line), `manifest` or `audit`.")],
) -> None:
    """Print the JSON Schema of a file that streamcam writes."""
    if name not in schemas.names():
        raise UsageError(
            f"there is no schema named {name}", hint=f"Known: {', '.join(schemas.names())}."
        )
    typer.echo(orjson.dumps(schemas.schema(name), option=orjson.OPT_INDENT_2))
