"""The files of registered versions: copied out of the artifact store, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.adapter import CONFIG
from cia.durable_files import exclusive, remove_unfinished, replace_directory, replace_text
from cia.errors import AdapterError
from cia.registry.mlflow_client import mlflow_errors, tracking_uri
from cia.registry.registered_adapter import RegisteredAdapter
from cia.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

ARTIFACTS = "adapter"
"""The folder of the adapter among a run's artifacts."""

ORIGIN = "registered.json"
"""In a downloaded adapter: which version of which run it is. A new registry would count from 1 again."""

LOCK_WAIT_SECONDS = 60.0


class AdapterFiles:
    """What the artifact store holds. ``client`` is asked for the first time when a method is called."""

    def __init__(self, settings: Settings, client: Callable[[], MlflowClient]) -> None:
        self._home = settings.home
        self._uri = tracking_uri(settings)
        self._client = client

    def exist(self, run_id: str) -> bool:
        """Whether the run has an adapter."""
        try:
            with mlflow_errors(self._uri):
                return any(Path(entry.path).name == CONFIG for entry in self._client().list_artifacts(run_id, ARTIFACTS))
        except LookupError:
            return False

    def upload(self, run_id: str, adapter: Path) -> None:
        """Keep the files in the folder ``adapter`` with a run, unless it has some."""
        with mlflow_errors(self._uri):
            if not self.exist(run_id):
                self._client().log_artifacts(run_id, str(adapter), ARTIFACTS)

    def download(self, adapter: RegisteredAdapter, directory: Path, check: Callable[[Path], None] | None = None) -> Path:
        """Make ``directory`` hold the files as the store has them now, and return it.

        Raises AdapterError when the store has lost them, and what ``check`` raises about them; then nothing changes.
        """
        with self._alone(directory.parent), replace_directory(directory) as staging:
            self._copy(adapter, staging)
            if check:
                check(staging)
            replace_text(staging / ORIGIN, json.dumps({"version": adapter.version, "run_id": adapter.run_id}) + "\n")
        return directory

    @contextlib.contextmanager
    def _alone(self, parent: Path) -> Iterator[None]:
        with exclusive(self._home / "adapters.lock", "downloading an adapter", LOCK_WAIT_SECONDS):
            remove_unfinished(parent)
            yield

    def _copy(self, adapter: RegisteredAdapter, folder: Path) -> None:
        if not self.exist(adapter.run_id):
            raise AdapterError(f"the files of {adapter.served_name} are gone from the registry; train and register it again")
        with mlflow_errors(self._uri):
            self._client().download_artifacts(adapter.run_id, ARTIFACTS, str(folder))
        for path in (folder / ARTIFACTS).iterdir():
            path.rename(folder / path.name)
        shutil.rmtree(folder / ARTIFACTS)


def holds(directory: Path, version: int, run_id: str | None = None) -> bool:
    """Whether a downloaded folder is whole and holds this version (of this run, if one is given)."""
    try:
        origin: Any = json.loads((directory / ORIGIN).read_text(encoding="utf-8"))
        return (directory / CONFIG).exists() and origin["version"] == version and run_id in (None, origin["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
