import pytest
from pydantic import TypeAdapter, ValidationError

from streamcam.config.camera_schema import LiveSettings, RetentionSettings
from streamcam.config.fields import DURATION, SIZE, Duration, Flag, Quantity, Size, metadata
from streamcam.config.model_schema import ModelSettings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50ms", 0.05),
        ("10s", 10),
        ("1.5 m", 90),
        ("12h", 43200),
        ("7D", 604800),
        ("0s", 0),
        ("0", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert TypeAdapter(Duration).validate_python(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("500MB", 500 * 10**6), ("1.5GB", 15 * 10**8), ("2GiB", 2 << 30), ("7 kb", 7000)],
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    assert TypeAdapter(Size).validate_python(text) == count


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "1e3s", "5MB", "1s 2s"])
def test_what_is_not_a_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match='must be a duration such as "10s"'):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize(
    ("quantity", "number", "text"),
    [
        (DURATION, 0.05, "50ms"),
        (DURATION, 9.5, "9.5s"),
        (DURATION, 90.0, "90s"),
        (DURATION, 0, "0s"),
        (DURATION, 7 * 86400, "7d"),
        (SIZE, 2 << 30, "2GiB"),
        (SIZE, 200 * 10**9, "200GB"),
        (SIZE, 1234567891, "1234567891B"),
    ],
)
def test_quantities_are_written_in_the_largest_unit_that_is_exact(
    quantity: Quantity, number: float, text: str
) -> None:
    assert quantity.format(number) == text
    assert quantity.parse(text) == number


def test_metadata_is_found_inside_an_optional_type_too() -> None:
    fields = RetentionSettings.model_fields
    assert metadata(fields["max_age"], Quantity) is DURATION
    assert metadata(fields["max_bytes"], Quantity) is SIZE
    assert metadata(ModelSettings.model_fields["library"], Flag) is None


def test_json_schema_describes_quantities_as_they_are_written() -> None:
    segment = LiveSettings.model_json_schema()["properties"]["segment"]
    assert segment["default"] == "1m"
    assert [one["type"] for one in segment["anyOf"]] == ["string", "number"]
