"""Settings of runs that are spread over a Ray cluster."""

from typing import Annotated

from pydantic import Field

from streamcam.config.fields import Duration, Flag, Section


class RaySettings(Section):
    """How `streamcam run` is spread over the GPUs and cores of a Ray cluster."""

    address: Annotated[str | None, Flag("ray")] = Field(
        None,
        min_length=1,
        description="Spread the sources over a Ray cluster: `local` (the GPUs and cores of this "
        "machine), `auto` (the cluster that this machine is part of), or an address, "
        "`HOST:6379` or `ray://HOST:10001`. Unset: no Ray.",
        examples=["auto"],
    )
    workers: Annotated[int | None, Flag("ray-workers")] = Field(
        None,
        ge=1,
        le=100_000,
        description="Worker processes, each with an engine of its own. A cluster that grows by "
        "itself is grown until they fit. Unset: as many as the present nodes hold.",
        examples=[64],
    )
    gpus_per_worker: Annotated[float | None, Flag()] = Field(
        None,
        ge=0,
        le=64,
        description="GPUs of a worker; 0.5: two workers share one. Unset: 1 where the cluster has "
        "GPUs and the device is not a CPU, else 0.",
        examples=[0.5],
    )
    cpus_per_worker: Annotated[float | None, Flag()] = Field(
        None,
        gt=0,
        le=1024,
        description="Cores of a worker, for decoding, drawing and encoding, and without a GPU for "
        "the network. Unset: a GPU's share of its node's cores, or without GPUs 4.",
        examples=[8.0],
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="How often a source is tried before it is set aside as failed: after errors "
        "that may pass, and when it crashed its worker.",
    )
    retry_delay: Duration = Field(
        10.0,
        ge=0,
        le=86400,
        description="Pause before the second attempt; doubled before each further one.",
    )
    stall_timeout: Duration = Field(
        1800.0,
        gt=0,
        le=7 * 86400,
        description="How long a source may go without a further frame before its worker is "
        "replaced.",
    )
