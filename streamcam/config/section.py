"""What every table of the configuration shares."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _split_commas(value: object) -> object:
    """Accept "person, dog" where a list is meant: environment variables have no lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]


class Section(BaseModel):
    """A table of the configuration file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
