"""Models of the Hugging Face hub: their files, fetched once into the hub's own cache."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from streamcam.errors import UsageError, WeightsError, WeightsUnavailableError
from streamcam.vision.models.download import Progress, without_number

EXTRA = "pip install 'streamcam[transformers]'"

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Of weights that are split into several files: which tensor is in which."""

PICKLE = "pytorch_model.bin"

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""How pictures become the model's input; one of them."""


class HubModel:
    """A model of the hub, `ORGANISATION/NAME` or `ORGANISATION/NAME@REVISION`.

    The environment variables of the hub's own tools hold: HF_HOME, HF_TOKEN, HF_ENDPOINT, and
    HF_HUB_OFFLINE, with which nothing is fetched.

    Raises:
        UsageError: huggingface_hub is not installed, or the name cannot be one.
    """

    def __init__(self, name: str) -> None:
        self.repository, _, revision = name.partition("@")
        self.revision = revision or None
        hub = _hub()
        try:
            hub.utils.validate_repo_id(self.repository)
        except hub.errors.HFValidationError as error:
            raise UsageError(
                f"{self.repository!r} cannot be a model's name on the hub",
                hint="Write hf:ORGANISATION/NAME.",
            ) from error

    def fetch(
        self,
        progress: Progress | None = None,
        *,
        weights: bool = True,
        trust: bool = False,
        update: bool = False,
    ) -> Path:
        """Fetch what is not here; return the folder with all files.

        Args:
            progress: Called with the bytes fetched of each file of weights.
            weights: Whether the weights are wanted, or only what describes the model.
            trust: Whether a pickle will do where there are no safetensors.
            update: Whether to ask the hub for a newer version of what is here.

        Raises:
            WeightsError: The model has no files that can be used.
            WeightsUnavailableError: They are neither here nor can they be fetched.
        """
        get = partial(self._fetch, update=update)
        with _quiet():
            config = get([CONFIG])
            get(PROCESSORS)
            if weights:
                found = get([WEIGHTS, INDEX, *([PICKLE] if trust else [])], progress)
                for part in _split_files(found) if found.name == INDEX else ():
                    get([part], progress)
        return config.parent

    def cached(self, file: str) -> Path | None:
        """Where a file of the model is; None if it has not been fetched."""
        found = _hub().try_to_load_from_cache(self.repository, file, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def _fetch(
        self, names: Sequence[str], progress: Progress | None = None, *, update: bool
    ) -> Path:
        """The first of some files that the model has."""
        present = next((path for name in names if (path := self.cached(name))), None)
        if present is not None and not update:
            return present
        return self._download(names, progress)

    def _download(self, names: Sequence[str], progress: Progress | None) -> Path:
        hub = _hub()
        for name in names:
            try:
                path: str = hub.hf_hub_download(
                    self.repository,
                    name,
                    revision=self.revision,
                    tqdm_class=partial(_ProgressBar, f"{self.repository}/{name}", progress),
                )
            except hub.errors.RemoteEntryNotFoundError:
                continue
            except (OSError, hub.errors.HfHubHTTPError) as error:
                raise self._unavailable(error) from error
            return Path(path)
        if WEIGHTS in names:
            raise no_safetensors(f"hf:{self.repository}")
        raise WeightsError(
            f"hf:{self.repository} has no {' or '.join(names)}",
            hint="It is no detector of transformers; those have one.",
        )

    def _unavailable(self, error: Exception) -> WeightsUnavailableError:
        errors = _hub().errors
        if isinstance(error, errors.GatedRepoError):
            return WeightsUnavailableError(
                f"hf:{self.repository} is only for those who have accepted its terms",
                hint="Accept them on its page on the hub, then run `hf auth login`.",
            )
        if isinstance(error, errors.RepositoryNotFoundError):
            return WeightsUnavailableError(
                f"there is no model {self.repository} on the hub, or it is private",
                hint="Check the name; for a private one run `hf auth login`.",
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return WeightsUnavailableError(f"hf:{self.repository} has no revision {self.revision}")
        folder = self.repository.rpartition("/")[2]
        pinned = f" --revision {self.revision}" if self.revision else ""
        return WeightsUnavailableError(
            f"the model {self.repository} is not here and cannot be fetched: {_reason(error)}",
            hint=f"Where there is a network, run `hf download {self.repository}{pinned} "
            f"--local-dir {folder}`, and copy the folder here for --model ./{folder}.",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the hub's own warnings of each attempt."""
    logs = _hub().utils.logging
    level = logs.get_verbosity()
    logs.set_verbosity_error()
    try:
        yield
    finally:
        logs.set_verbosity(level)


def _split_files(index: Path) -> list[str]:
    """The names of the files that weights are split into."""
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(f"{index} cannot be read: {error}") from error


def no_safetensors(model: str) -> WeightsError:
    return WeightsError(
        f"{model} has no weights as safetensors, and a pickle ({PICKLE}) can run any code",
        hint=f"If it has {PICKLE} and you trust its makers, --trust opens that.",
    )


def _hub() -> Any:  # noqa: ANN401 - a module
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise missing_extra() from error
    return huggingface_hub


def missing_extra() -> UsageError:
    return UsageError("models of transformers need more packages", hint=f"Run {EXTRA}.")


def _reason(error: Exception) -> str:
    """What was wrong first, in one line: the hub's own errors wrap it."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return without_number(str(error).strip().partition("\n")[0]) or type(error).__name__


class _ProgressBar:
    """As much of tqdm's interface as the hub uses; tells `progress` what it is told."""

    def __init__(
        self,
        name: str,
        progress: Progress | None,
        *,
        total: float | None = None,
        initial: float = 0,
        **_: object,
    ) -> None:
        self._name, self._progress = name, progress
        self.total, self.n = total, initial

    def update(self, count: float | None = 1) -> None:
        self.n += count or 0
        if self._progress is not None:
            self._progress(self._name, int(self.n), None if self.total is None else int(self.total))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Descriptions, refreshing and the like: nothing is drawn here."""
        return lambda *_args, **_options: None
