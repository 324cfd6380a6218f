"""The registry as the plugin sees it: what a version is, and its files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from code_assistant_lora_resolver.errors import AdapterRefused, NoSuchAdapter, NotNow, RegistryAway, ResolveError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)
"""All that vLLM reads of an adapter, and all that is fetched. Pickled weights (``.bin``) can run code and are never asked for."""

CHECKSUM_TAG = "sha256."
SHA256 = re.compile("[0-9a-f]{64}")

QUIET_AND_BOUNDED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds for each answer, and between two pieces of a download
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # MLflow's own seven, with their pauses, hold a request for minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version as MLflow has it: where its files are, the base model in its tags, and the SHA-256 of each file."""

    number: int
    files: str
    base_model: str
    checksums: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that another content does not share."""
        together = "".join(self.checksums[name] for name in FILES)
        return hashlib.sha256(together.encode()).hexdigest()[:12]


class RegistryClient:
    """The versions of one registered model in MLflow at ``uri``. Its methods block, each for a bounded time; any thread may call.

    They raise RegistryAway when MLflow does not answer or answers with errors, and NoSuchAdapter for what it does not have.
    """

    def __init__(self, uri: str, model: str) -> None:
        self.model = model
        self._uri = uri
        self._shown = _without_password(uri)
        self._file = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
        self._client: MlflowClient | None = None
        for variable, value in QUIET_AND_BOUNDED.items():
            os.environ.setdefault(variable, value)
        self._opening = threading.Lock()

    def warm(self) -> None:
        """Import MLflow and ask the registry once, which takes seconds, before anybody waits for it."""
        if self._file is not None:  # which may not be there yet, so that asking would import nothing
            import mlflow.store.model_registry.sqlalchemy_store
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
        with contextlib.suppress(ResolveError), self._errors(NoSuchAdapter("none")):
            self._open().search_registered_models(max_results=1)

    def describe(self, number: int) -> RegisteredVersion:
        """Return what the registry says of a version. Raises AdapterRefused when it says too little to check the files."""
        name = f"{self.model}:{number}"
        with self._errors(NoSuchAdapter(f"the registry has no {name}")):
            found = self._open().get_model_version(self.model, str(number))
            files = str(self._open().get_model_version_download_uri(self.model, str(number)))
        tags = dict(found.tags)
        checksums = {file: tags.get(f"{CHECKSUM_TAG}{file}", "") for file in FILES}
        if not all(SHA256.fullmatch(checksum) for checksum in checksums.values()):
            raise AdapterRefused(f"{name} was registered without checksums (tags {CHECKSUM_TAG}FILE); register it again")
        return RegisteredVersion(number, files, tags.get("base_model", ""), checksums)

    def size(self, version: RegisteredVersion) -> int:
        """Return the bytes of a version's files. Raises AdapterRefused when the registry has lost one."""
        with self._errors(self._gone(version)):
            listed = self._store(version).list_artifacts()
        sizes = {Path(entry.path).name: int(entry.file_size or 0) for entry in listed if not entry.is_dir}
        if not set(FILES) <= set(sizes):
            raise self._gone(version)
        return sum(sizes[name] for name in FILES)

    def download(self, version: RegisteredVersion, folder: Path) -> None:
        """Write a version's files into ``folder``, which is there and empty; nothing is checked."""
        for name in FILES:
            with self._errors(self._gone(version)):
                self._store(version).download_artifacts(name, str(folder))

    def _gone(self, version: RegisteredVersion) -> AdapterRefused:
        return AdapterRefused(
            f"the files of {self.model}:{version.number} are gone from the registry; train and register it again"
        )

    def _store(self, version: RegisteredVersion) -> ArtifactRepository:
        """The artifact store with the version's files. ``MlflowClient`` would hide why a download fails."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

        files = version.files
        if RunsArtifactRepository.is_runs_uri(files):
            files = RunsArtifactRepository.get_underlying_uri(files, self._uri)
        return get_artifact_repository(files, tracking_uri=self._uri, registry_uri=self._uri)

    def _open(self) -> MlflowClient:
        with self._opening:
            if self._client is None:
                self._client = self._new_client()
            return self._client

    def _new_client(self) -> MlflowClient:
        if self._file is not None and not self._file.is_file():
            # MLflow would make an empty database here, while whoever registers first makes the real one.
            raise RegistryAway(f"there is no registry at {self._shown} yet; register an adapter first")
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    @contextlib.contextmanager
    def _errors(self, absent: ResolveError) -> Iterator[None]:
        """Raise ``absent`` for what the registry does not have, which is another thing than a registry that is away."""
        try:
            yield
        except ResolveError:
            raise
        except Exception as error:  # MLflow, its database, its HTTP client and each artifact store raise their own
            why = _without_password(" ".join(str(error).split()))
            if os.strerror(errno.ENOSPC) in why or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise NotNow("no space is left on the disk of the adapter cache; free some, then ask again") from error
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise absent from error
            raise RegistryAway(
                f"the registry at {self._shown} does not answer ({why[:200]}); look whether MLflow runs"
            ) from error


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
