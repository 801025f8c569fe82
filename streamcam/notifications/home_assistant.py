"""Home Assistant's MQTT discovery: each camera as a device with sensors and switches.

One message a camera, of the form that Home Assistant calls device discovery (since 2024.11):
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from collections.abc import Mapping
from typing import Any

import orjson

from streamcam.escapes import printable
from streamcam.notifications.topics import Topics, identifier
from streamcam.types import CameraState
from streamcam.version import __version__

ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"


def device_message(
    topics: Topics,
    camera: str,
    labels: Mapping[str, str],
    *,
    recording: bool,
    snapshots: bool,
) -> bytes:
    """Return the message by which Home Assistant makes a device of a camera.

    Args:
        topics: Where what it tells of is published.
        camera: Its name.
        labels: The classes that it tells of, by their level in topics.
        recording: Whether it has a recording that can be switched.
        snapshots: Whether pictures of events are published.
    """
    device = f"{topics.node}_{identifier(camera)}"
    components = _camera_components(topics, camera, recording=recording)
    for level, label in labels.items():
        components |= _class_components(topics, camera, level, printable(label), snapshots)
    message = {
        "device": {
            "identifiers": [device],
            "name": camera,
            "manufacturer": "streamcam",
            "model": "Camera",
            "sw_version": __version__,
        },
        "origin": {"name": "streamcam", "sw_version": __version__},
        "availability_topic": topics.available,
        "payload_available": ONLINE.decode(),
        "payload_not_available": OFFLINE.decode(),
        "components": {
            key: {**component, "unique_id": f"{device}_{key}"}
            for key, component in components.items()
        },
    }
    return orjson.dumps(message)


def _camera_components(topics: Topics, camera: str, *, recording: bool) -> dict[str, Any]:
    components = {
        "status": {
            "platform": "sensor",
            "name": "Status",
            "state_topic": topics.status(camera),
            "device_class": "enum",
            "options": [state.value for state in CameraState],
            "entity_category": "diagnostic",
        },
        "enabled": _switch(topics, camera, "enabled", "Enabled", "mdi:cctv"),
    }
    if recording:
        icon = "mdi:record-rec"
        components["recordings"] = _switch(topics, camera, "recordings", "Recording", icon)
    return components


def _switch(topics: Topics, camera: str, switch: str, name: str, icon: str) -> dict[str, Any]:
    return {
        "platform": "switch",
        "name": name,
        "icon": icon,
        "state_topic": topics.switch(camera, switch, "state"),
        "command_topic": topics.switch(camera, switch, "set"),
        "payload_on": ON.decode(),
        "payload_off": OFF.decode(),
    }


def _class_components(
    topics: Topics, camera: str, level: str, label: str, snapshots: bool
) -> dict[str, Any]:
    name, key = label.capitalize(), identifier(level)
    count = topics.count(camera, level)
    components: dict[str, Any] = {
        f"{key}_occupancy": {
            "platform": "binary_sensor",
            "name": f"{name} occupancy",
            "device_class": "occupancy",
            "state_topic": count,
            "value_template": "{{ 'ON' if value | int(0) > 0 else 'OFF' }}",
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        f"{key}_count": {
            "platform": "sensor",
            "name": f"{name} count",
            "icon": "mdi:counter",
            "state_topic": count,
            "state_class": "measurement",
            "unit_of_measurement": "objects",
        },
    }
    if snapshots:
        components[f"{key}_snapshot"] = {
            "platform": "image",
            "name": f"{name} snapshot",
            "image_topic": topics.snapshot(camera, level),
            "content_type": "image/jpeg",
        }
    return components
