"""Settings of notifications: what is refused, and what is never shown."""

from pathlib import Path

import pytest

from streamcam.config import load_settings
from streamcam.errors import ConfigError

FORM = "must be levels between slashes, without blanks, + and #, not"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[mqtt]\ntopic = "a/+/b"', f"mqtt.topic: {FORM} 'a/+/b'"),
        ('[mqtt]\ntopic = "$SYS"', f"mqtt.topic: {FORM} '$SYS'"),
        ('[mqtt]\ntopic = "a/"', f"mqtt.topic: {FORM} 'a/'"),
        ('[mqtt]\ntopic = "a\\u0000b"', "mqtt.topic: must be levels"),
        ('[mqtt]\ndiscovery = "#"', "mqtt.discovery: must be empty, or levels"),
        ("[mqtt]\nport = 0", "mqtt.port: must be 1 to 65535, not 0"),
        ('[mqtt]\npassword_file = "p"', "mqtt.password_file: needs a username"),
        ('[mqtt]\nca_file = "p"', "mqtt.ca_file: needs tls = true"),
        ('[[webhook]]\nurl = "ftp://a/b"', "url: must be an http or https URL, not 'ftp://a/b'"),
        ('[[webhook]]\nurl = "http://"', "webhook.0.url: must be an http or https URL"),
        ("[[webhook]]\nstages = []", "webhook.0.url: is missing"),
        ('[[webhook]]\nurl = "http://a"\nstages = ["ned"]', "did you mean new?"),
        ('[webhook]\nurl = "http://a"', "webhook: must be tables [[webhook]], not a table"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert reason in caught.value.message


def test_a_wrong_url_is_shown_without_its_credentials(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[webhook]]\nurl = "gopher://me:s3cret@a/b?key=s3cret"')
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert "s3cret" not in caught.value.message


def test_topics_of_several_levels_and_no_discovery(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[mqtt]\nhost = "b"\ntopic = "home/cams"\ndiscovery = ""')
    settings = load_settings(file, {"STREAMCAM_MQTT_PORT": "1884"}).mqtt
    assert (settings.topic, settings.discovery, settings.port) == ("home/cams", "", 1884)
