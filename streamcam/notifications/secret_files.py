"""Secrets are in files of their own, not in the configuration."""

from pathlib import Path

from streamcam.errors import ConfigError


def read_secret(file: Path, setting: str) -> str:
    """Return the secret in a file, without blanks around it.

    Raises:
        ConfigError: It cannot be read, or is empty.
    """
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(
            f"{setting}: {file} cannot be read: {reason}",
            hint="Make it readable for the user that runs streamcam, and for nobody else.",
        ) from None
    if not secret:
        raise ConfigError(f"{setting}: {file} is empty")
    return secret
