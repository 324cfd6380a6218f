"""A version of the adapter, as the registry knows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SCORE_TAG = "score."
CHECKSUM_TAG = "sha256."
"""Followed by a file's name. Whoever fetches a version compares: vLLM's resolver does."""

LONGEST_TAG = 4000
"""Characters; MLflow refuses values from 5,000 on."""


@dataclass(frozen=True, slots=True)
class RegisteredAdapter:
    """``name`` and ``version`` give the name it is served by, ``code-assistant:3``.

    ``base_model`` is what it was trained on (a folder or a hub name), ``base_fingerprint`` the hash of those weights.
    ``gate`` is the verdict of the evaluation and ``reason`` its sentence; ``scores`` the means by metric, ``checksums`` the
    SHA-256 of its files. ``previous_production`` is the version that it replaced. ``age_seconds`` is above 0 when MLflow is
    away and this is what was known so long ago.
    """

    name: str
    version: int
    run_id: str
    base_model: str
    base_fingerprint: str
    gate: Literal["passed", "failed"]
    reason: str
    scores: dict[str, float]
    in_production: bool = False
    previous_production: int | None = None
    created: str = ""
    checksums: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    age_seconds: float = 0.0

    @property
    def served_name(self) -> str:
        """``code-assistant:3``: the model name that clients of vLLM ask for."""
        return f"{self.name}:{self.version}"

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def from_model_version(version: ModelVersion, alias: str, production: int | None) -> RegisteredAdapter:
    """Return what MLflow keeps of a version; ``production`` is the number of the one that ``alias`` names."""
    tags = dict(version.tags)
    number = int(version.version)
    previous = tags.get("previous_production", "")
    created = datetime.fromtimestamp((version.creation_timestamp or 0) / 1000, UTC)
    known = {"gate", "reason", "base_model", "base_fingerprint", "previous_production", alias}
    rest = {name: tags[name] for name in sorted(tags) if name not in known}
    return RegisteredAdapter(
        name=version.name,
        version=number,
        run_id=version.run_id or "",
        base_model=tags.get("base_model", ""),
        base_fingerprint=tags.get("base_fingerprint", ""),
        gate="passed" if tags.get("gate") == "passed" else "failed",
        reason=tags.get("reason", ""),
        scores={name: float(score) for name, score in _below(SCORE_TAG, rest).items()},
        in_production=number == production,
        previous_production=int(previous) if previous.isdigit() else None,
        created=created.isoformat(timespec="seconds"),
        checksums=_below(CHECKSUM_TAG, rest),
        tags={name: value for name, value in rest.items() if not name.startswith((SCORE_TAG, CHECKSUM_TAG))},
    )


def _below(prefix: str, tags: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}
