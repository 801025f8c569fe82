"""The kinds of object storage: their schemes, what each needs to be installed, and to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from streamcam.errors import UsageError
from streamcam.urls import scheme_of


@dataclass(frozen=True, slots=True)
class StorageService:
    """One kind of object storage.

    Attributes:
        extra: The extra of this distribution that it needs.
        module: The module that fsspec needs for it.
        access: What to do where access is denied.
        writable: Whether results can be written there.
        options: Of fsspec's file system.
        upload: Options of its `put_file`.
    """

    extra: str
    module: str
    access: str
    writable: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    upload: Mapping[str, Any] = field(default_factory=dict)


_S3 = StorageService(
    "s3",
    "s3fs",
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; of a server that is not "
    "Amazon's AWS_ENDPOINT_URL too.",
    # Retries are ours: botocore's and s3fs's own would multiply with them.
    options={"config_kwargs": {"retries": {"total_max_attempts": 1}}},
    # Twice 8 MiB and more go in parts, 4 at a time: s3fs's own 10 parts of 50 MB are held in
    # memory, for each file that is uploaded.
    upload={"chunksize": 8 << 20, "max_concurrency": 4},
)
_GOOGLE = StorageService(
    "gcs",
    "gcsfs",
    "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth application-default "
    "login`.",
)
_AZURE = StorageService(
    "azure",
    "adlfs",
    "Set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or "
    "AZURE_STORAGE_CONNECTION_STRING.",
)
_WEB = StorageService(
    "http", "aiohttp", "Is it public? A signed URL may have expired.", writable=False
)

SERVICES: Mapping[str, StorageService] = {
    "s3": _S3,
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "az": _AZURE,
    "abfs": _AZURE,
    "http": _WEB,
    "https": _WEB,
}
"""By the scheme of URLs."""

OBJECT_SCHEMES = frozenset(name for name, service in SERVICES.items() if service.writable)
"""Schemes of URLs that hold no credentials: these are given by the environment."""


def service_of(url: str) -> StorageService:
    return SERVICES[scheme_of(url) or ""]


def file_system(url: str) -> Any:  # noqa: ANN401 - fsspec has no types
    """Return fsspec's file system for a URL; it is made once for each service and process.

    Raises:
        UsageError: The extra is not installed.
    """
    service = service_of(url)
    try:
        import_module(service.module)
        import fsspec
    except ImportError as error:
        raise UsageError(
            f"{scheme_of(url)}:// needs {service.module}, which is not installed",
            hint=f"pip install 'streamcam[{service.extra}]'",
        ) from error
    # A listing that fsspec remembers would hide what other machines have written since.
    made = fsspec.filesystem(scheme_of(url), use_listings_cache=False, **service.options)
    if hasattr(made, "retries"):
        made.retries = 1
    return made
