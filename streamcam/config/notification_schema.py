"""Settings of notifications: the MQTT broker, and webhooks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from streamcam.config.fields import Form, NameList, Section

_TOPIC = r"[^+#/$\s\x00-\x1f\x7f][^+#/\s\x00-\x1f\x7f]*(/[^+#/\s\x00-\x1f\x7f]+)*"
"""Levels without what MQTT keeps for filters; the first does not begin as those of brokers do."""

_TOPIC_WORDS = "levels between slashes, without blanks, + and #"


class MqttSettings(Section):
    """The MQTT broker that `streamcam serve` tells of cameras and events."""

    host: str | None = Field(
        None, min_length=1, description="The broker. Unset: none.", examples=["broker.local"]
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="Its port. Unset: 1883, with TLS 8883.", examples=[1883]
    )
    username: str | None = Field(
        None, min_length=1, description="User to log in as. Unset: none.", examples=["streamcam"]
    )
    password_file: Path | None = Field(
        None,
        description="File with the user's password.",
        examples=["/etc/streamcam/mqtt-password"],
    )
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate.")
    ca_file: Path | None = Field(
        None,
        description="File with the certificates (PEM) that may sign the broker's. Unset: those of "
        "the system.",
        examples=["/etc/streamcam/broker-ca.pem"],
    )
    topic: Annotated[str, Form(_TOPIC_WORDS)] = Field(
        "streamcam",
        pattern=rf"^{_TOPIC}$",
        description="First level or levels of every topic; each service at a broker needs its own.",
    )
    discovery: Annotated[str, Form(f"empty, or {_TOPIC_WORDS}")] = Field(
        "homeassistant",
        pattern=rf"^({_TOPIC})?$",
        description="Topic under which Home Assistant finds devices: each camera becomes one by "
        "itself. Empty: none do.",
    )
    snapshots: bool = Field(
        False, description="Publish the best picture of every event, as a JPEG with heat."
    )

    @field_validator("password_file")
    @classmethod
    def _has_user(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("username") is None:
            raise ValueError("needs a username")
        return file

    @field_validator("ca_file")
    @classmethod
    def _has_tls(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and not info.data.get("tls"):
            raise ValueError("needs tls = true")
        return file


class WebhookSettings(Section):
    """A URL that `streamcam serve` posts events to."""

    url: Annotated[str, Form("an http or https URL")] = Field(
        pattern=r"^https?://[^\s/?#]+[^\s#]*$",
        description="Where events are posted.",
        examples=["https://example.org/hooks/streamcam"],
    )
    secret_file: Path | None = Field(
        None,
        description="File with the secret that signs every post. Unset: posts are not signed.",
        examples=["/etc/streamcam/webhook-secret"],
    )
    stages: tuple[Literal["new", "update", "end"], ...] = Field(
        ("new", "end"), description="What is posted of an event: `new`, `update`, `end`."
    )
    cameras: NameList = Field((), description="Only events of these cameras. Empty: all.")
    classes: NameList = Field((), description="Only events of these classes. Empty: all.")
