import copy
import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from streamcam import schemas

RECORD: dict[str, Any] = {
    "source": "cam-1",
    "frame": 0,
    "pts": -5,
    "time": 0.0,
    "time_utc": "2025-03-01T12:00:00.250Z",
    "last_frame_age": 0.0,
    "detections": [
        {
            "label": "person",
            "class_id": 1,
            "confidence": 1.0,
            "box": [0, 0, 10.5, 20],
            "focus": {"energy": 0.0, "lift": 0.0, "peak_inside": False},
            "why": {
                "method": "layercam",
                "energy": 1.0,
                "lift": 12.5,
                "peak_inside": True,
                "age_ms": 400.0,
            },
        }
    ],
    "cam": {
        "method": "eigencam",
        "explained_variance": 0.5,
        "flicker": None,
        "peak": [0, 1.5],
        "coarse_map": "/" * 85 + "w==",
        "age_ms": 0,
    },
}


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schemas.schema(name))


def parts(schema: object) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [part for item in schema for part in parts(item)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(part for item in schema.values() for part in parts(item))]


def test_names() -> None:
    documents = (
        "audit",
        "baseline",
        "compare",
        "event",
        "event_message",
        "exported_frame",
        "manifest",
        "record",
        "run",
    )
    assert schemas.names() == documents
    with pytest.raises(KeyError):
        schemas.schema("recrod")


@pytest.mark.parametrize("name", schemas.names())
def test_schemas_are_valid_strict_and_described(name: str) -> None:
    schema = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in parts(schema):
        properties = part.get("properties")
        if isinstance(properties, dict) and "type" in part:
            assert "additionalProperties" in part
            assert all("description" in described(schema, p) for p in properties.values())


def described(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][reference] | part if reference else part


def test_a_record_is_accepted_with_and_without_what_only_live_sources_tell() -> None:
    validator("record").validate(RECORD)
    live = ("time_utc", "last_frame_age")
    validator("record").validate({k: v for k, v in RECORD.items() if k not in live})


def test_methods_without_components_have_no_share_of_the_variance() -> None:
    validator("record").validate(RECORD | {"cam": RECORD["cam"] | {"explained_variance": None}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["extra"], 1),
        (["frame"], -1),
        (["pts"], 0.5),
        (["time"], None),
        (["time_utc"], "2025-03-01 12:00"),
        (["last_frame_age"], -0.1),
        (["last_frame_age"], None),
        (["source"], ""),
        (["detections", 0, "confidence"], 1.1),
        (["detections", 0, "box"], [0, 0, 1]),
        (["detections", 0, "class_id"], "1"),
        (["detections", 0, "focus", "energy"], -0.1),
        (["detections", 0, "focus", "peak_inside"], 1),
        (["detections", 0, "score"], 0.5),
        (["cam", "flicker"], 1.5),
        (["detections", 0, "why", "age_ms"], -1),
        (["detections", 0, "why", "method"], ""),
        (["detections", 0, "why"], None),
        (["cam", "explained_variance"], 1.5),
        (["cam", "age_ms"], -1),
        (["cam", "coarse_map"], "AAAA"),
        (["cam", "peak"], None),
    ],
)
def test_a_record_that_is_wrong_anywhere_is_refused(path: list[Any], value: object) -> None:
    wrong = copy.deepcopy(RECORD)
    place: Any = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not validator("record").is_valid(wrong)


def test_schemas_need_no_heavy_libraries() -> None:
    code = (
        "import sys; from streamcam import schemas; schemas.schema('record');"
        "print({'torch', 'av', 'cv2', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
