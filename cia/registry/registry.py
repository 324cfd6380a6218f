"""Versions of the adapter in MLflow: which there are, and which one is in Production.

Production is an alias on a version. Moving it is the promotion, moving it back the rollback, and that one step is atomic; the
tags beside it are for people. A version that failed the gate is registered too, so that its scores can be looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.adapter import CONFIG, WEIGHTS, base_fingerprint, check_adapter
from cia.durable_files import exclusive, remove_unfinished, replace_directory, replace_text
from cia.errors import AdapterError, BusyError, InputError, UnavailableError
from cia.registry.last_known import LastKnown
from cia.registry.mlflow_client import mlflow_errors, open_client, tracking_uri
from cia.registry.registered_adapter import RegisteredAdapter
from cia.registry.training_run import start_run
from cia.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from cia.evaluation.gate import Decision

ARTIFACTS = "adapter"
"""The folder of the adapter among a run's artifacts."""

ORIGIN = "registered.json"
"""In a downloaded adapter: which version of which run it is. A new registry would count from 1 again."""

SCORE_TAG = "score."
CHECKSUM_TAG = "sha256."
"""Followed by a file's name. Whoever fetches a version compares: vLLM's resolver does."""

LOCK_WAIT_SECONDS = 60.0
LONGEST_TAG = 4000
"""Characters; MLflow refuses values from 5,000 on."""


class Registry:
    """The registered adapters. Opening it costs nothing; MLflow is asked when a method is called.

    Every method raises UnavailableError when MLflow is away, but ``production`` and ``download`` then give what is known here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model = settings.registry.model_name
        self._alias = settings.registry.alias
        self._uri = tracking_uri(settings)
        self._last_known = LastKnown(settings.home / "production.json")

    @cached_property
    def _client(self) -> MlflowClient:
        return open_client(self._settings)

    def register(
        self,
        adapter: Path,
        scores: Mapping[str, float],
        decision: Decision,
        base: str | Path,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RegisteredAdapter:
        """Return the new version made of the adapter folder, trained on ``base``; it is not promoted.

        ``run_id`` is the training run that the files are kept with; without one a run is made. Raises AdapterError for an
        adapter that vLLM would reject.
        """
        check_adapter(adapter, base, self._settings.serving.max_lora_rank)
        described = {
            "gate": "passed" if decision.promoted else "failed",
            "reason": decision.reason[:LONGEST_TAG],
            "base_model": str(base),
            "base_fingerprint": base_fingerprint(base),
            **{f"{CHECKSUM_TAG}{name}": sha256_of(adapter / name) for name in (CONFIG, WEIGHTS)},
            **{f"{SCORE_TAG}{name}": f"{value:.6f}" for name, value in scores.items() if math.isfinite(value)},
            **{name: value[:LONGEST_TAG] for name, value in (tags or {}).items()},
        }
        client = self._client
        run_id = run_id or start_run(client, self._settings, "registered", {"source": "adapter folder"})
        with mlflow_errors(self._uri):
            if not self._has_files(run_id):
                client.log_artifacts(run_id, str(adapter), ARTIFACTS)
        self._ensure_model()
        with mlflow_errors(self._uri):
            source = f"runs:/{run_id}/{ARTIFACTS}"
            version = client.create_model_version(self._model, source=source, run_id=run_id, tags=described)
        return self._read(version, None)

    def list(self) -> list[RegisteredAdapter]:
        """Return all versions, newest first."""
        try:
            production = self._production_version()
            with mlflow_errors(self._uri):
                found = self._client.search_model_versions(f"name='{self._model}'")
        except LookupError:
            return []
        return sorted((self._read(version, production) for version in found), key=lambda adapter: -adapter.version)

    def get(self, version: int | str) -> RegisteredAdapter:
        """Return one version, given as 3, "3" or "code-assistant:3". Raises InputError when there is none such."""
        number = self._number(version)
        try:
            with mlflow_errors(self._uri):
                found = self._client.get_model_version(self._model, str(number))
            return self._read(found, self._production_version())
        except LookupError:
            raise InputError(f"there is no {self._model}:{number}; `cia models list` shows what there is") from None

    def production(self) -> RegisteredAdapter | None:
        """Return the version in Production, or None. While MLflow is away: the last one known, with its ``age_seconds``.

        Raises UnavailableError when MLflow is away and none was ever known here.
        """
        try:
            number = self._production_version()
            adapter = self.get(number) if number is not None else None
        except UnavailableError:
            known = self._last_known.recall()
            if known is None:
                raise
            return known
        self._last_known.remember(adapter)
        return adapter

    def promote(self, version: int | str, by: str = "", why: str = "", force: bool = False) -> RegisteredAdapter:
        """Put a version into Production and return it.

        Refuses (AdapterError) one that failed the gate, whose files are gone or damaged, or whose base model is not the
        one that Production runs on. ``force`` with a reason in ``why`` overrides the gate and the change of base, not the files.
        """
        if force and not why.strip():
            raise InputError("a forced promotion needs a reason: say why")
        with self._promoting():
            adapter, former = self.get(version), self._production_now()
            if adapter.gate != "passed" and not force:
                raise AdapterError(f"{adapter.served_name} did not pass the gate ({adapter.reason}); train a better one")
            if former and not force:
                self._refuse_another_base(adapter, former)
            self._check_files(adapter)
            if former is not None and former.version == adapter.version:
                return adapter
            tags = {"promoted_by": by, "promoted_why": why, "promoted_at": datetime.now(UTC).isoformat(timespec="seconds")}
            tags["previous_production"] = str(former.version) if former else ""
            return self._move_alias(adapter, former, tags)

    def rollback(self, by: str = "", why: str = "rolled back") -> RegisteredAdapter:
        """Put the version before the present one back into Production and return it. Raises InputError when there is none."""
        with self._promoting():
            present = self._production_now()
            if present is None or present.previous_production is None:
                raise InputError("there is no earlier version to go back to")
            adapter = self.get(present.previous_production)
            self._check_files(adapter)
            return self._move_alias(adapter, present, {"promoted_by": by, "promoted_why": why})

    def download(self, version: int | str, directory: Path) -> Path:
        """Make ``directory`` hold the files of a version, all or none, and return it. What is there already is left alone.

        Raises AdapterError when the registry has lost the files.
        """
        number = self._number(version)
        here = _origin(directory)
        try:
            adapter = self.get(number)
        except UnavailableError:
            if here is not None and here.get("version") == number:
                return directory
            raise
        if here is not None and here.get("run_id") == adapter.run_id and here.get("version") == number:
            return directory
        with exclusive(self._settings.home / "adapters.lock", "downloading an adapter", LOCK_WAIT_SECONDS):
            remove_unfinished(directory.parent)
            with replace_directory(directory) as staging:
                self._download(adapter, staging)
        return directory

    def fetch(self, version: int | str) -> Path:
        """Return the folder under CIA_HOME that holds a version, downloading it if need be."""
        number = self._number(version)
        return self.download(number, self._settings.home / "adapters" / str(number))

    def _download(self, adapter: RegisteredAdapter, staging: Path) -> None:
        if not self._has_files(adapter.run_id):
            raise AdapterError(f"the files of {adapter.served_name} are gone from the registry; train and register it again")
        with mlflow_errors(self._uri):
            self._client.download_artifacts(adapter.run_id, ARTIFACTS, str(staging))
        for path in (staging / ARTIFACTS).iterdir():
            path.rename(staging / path.name)
        shutil.rmtree(staging / ARTIFACTS)
        replace_text(staging / ORIGIN, json.dumps({"version": adapter.version, "run_id": adapter.run_id}) + "\n")

    def _has_files(self, run_id: str) -> bool:
        try:
            with mlflow_errors(self._uri):
                return any(Path(entry.path).name == CONFIG for entry in self._client.list_artifacts(run_id, ARTIFACTS))
        except LookupError:
            return False

    def _check_files(self, adapter: RegisteredAdapter) -> None:
        if not self._has_files(adapter.run_id):
            raise AdapterError(f"the files of {adapter.served_name} are gone from the registry; train and register it again")
        check_adapter(self.fetch(adapter.version), adapter.base_model, self._settings.serving.max_lora_rank)
        present = base_fingerprint(adapter.base_model)
        if present and adapter.base_fingerprint and present != adapter.base_fingerprint:
            raise AdapterError(
                f"{adapter.served_name} was trained on other weights than {adapter.base_model} now holds; train it again"
            )

    def _refuse_another_base(self, adapter: RegisteredAdapter, former: RegisteredAdapter) -> None:
        if adapter.base_model != former.base_model:
            raise AdapterError(
                f"{adapter.served_name} was trained on {adapter.base_model}, but Production runs on {former.base_model}; "
                "serve the new base first, then promote with force and a reason"
            )

    @contextlib.contextmanager
    def _promoting(self) -> Iterator[None]:
        with exclusive(self._settings.home / "promotion.lock", "promoting an adapter", LOCK_WAIT_SECONDS):
            yield

    def _move_alias(
        self, adapter: RegisteredAdapter, former: RegisteredAdapter | None, tags: Mapping[str, str]
    ) -> RegisteredAdapter:
        client, number = self._client, str(adapter.version)
        with mlflow_errors(self._uri):
            for name, value in tags.items():
                client.set_model_version_tag(self._model, number, name, value[:LONGEST_TAG])
        # The lock keeps others on this machine out. On a shared server only a look before and after can tell.
        if self._production_version() != (former.version if former else None):
            raise BusyError("another promotion came first; look at `cia models list` and try again")
        with mlflow_errors(self._uri):
            client.set_registered_model_alias(self._model, self._alias, number)
            client.set_model_version_tag(self._model, number, self._alias, "true")
        if former is not None:
            with contextlib.suppress(LookupError), mlflow_errors(self._uri):
                client.delete_model_version_tag(self._model, str(former.version), self._alias)
        moved = self.get(number)
        if not moved.in_production:
            raise BusyError("another promotion came at the same time and won; look at `cia models list`")
        self._last_known.remember(moved)
        return moved

    def _production_now(self) -> RegisteredAdapter | None:
        number = self._production_version()
        return self.get(number) if number is not None else None

    def _production_version(self) -> int | None:
        try:
            with mlflow_errors(self._uri):
                aliases = self._client.get_registered_model(self._model).aliases
        except LookupError:
            return None
        return int(aliases[self._alias]) if self._alias in aliases else None

    def _ensure_model(self) -> None:
        with contextlib.suppress(LookupError), mlflow_errors(self._uri):
            self._client.get_registered_model(self._model)
            return
        with (
            exclusive(self._settings.home / "mlflow.lock", "preparing the registry", LOCK_WAIT_SECONDS),
            mlflow_errors(self._uri),
        ):
            if not self._client.search_registered_models(f"name='{self._model}'"):
                self._client.create_registered_model(self._model)

    def _read(self, version: Any, production: int | None) -> RegisteredAdapter:
        tags = dict(version.tags)
        number = int(version.version)
        previous = tags.get("previous_production", "")
        created = datetime.fromtimestamp((version.creation_timestamp or time.time() * 1000) / 1000, UTC)
        prefixes = (SCORE_TAG, CHECKSUM_TAG)
        known = {"gate", "reason", "base_model", "base_fingerprint", "previous_production", self._alias}
        return RegisteredAdapter(
            name=self._model,
            version=number,
            run_id=version.run_id or "",
            base_model=tags.get("base_model", ""),
            base_fingerprint=tags.get("base_fingerprint", ""),
            gate="passed" if tags.get("gate") == "passed" else "failed",
            reason=tags.get("reason", ""),
            scores={name.removeprefix(SCORE_TAG): float(tags[name]) for name in sorted(tags) if name.startswith(SCORE_TAG)},
            in_production=number == production,
            previous_production=int(previous) if previous.isdigit() else None,
            created=created.isoformat(timespec="seconds"),
            tags={name: tags[name] for name in sorted(tags) if name not in known and not name.startswith(prefixes)},
        )

    def _number(self, version: int | str) -> int:
        text = str(version).removeprefix(f"{self._model}:")
        if not text.isdecimal():
            raise InputError(f"{version!r} is no version; give a number such as 3")
        return int(text)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _origin(directory: Path) -> dict[str, Any] | None:
    """Return what a downloaded folder says it holds, when it is whole."""
    try:
        origin = json.loads((directory / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return origin if isinstance(origin, dict) and (directory / CONFIG).exists() else None
