"""A version of the adapter, as the registry knows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class RegisteredAdapter:
    """``name`` and ``version`` give the name it is served by, ``code-assistant:3``.

    ``base_model`` is what it was trained on (a folder or a hub name), ``base_fingerprint`` the hash of those weights.
    ``gate`` is the verdict of the evaluation and ``reason`` its sentence; ``scores`` the means by metric.
    ``previous_production`` is the version that it replaced. ``age_seconds`` is above 0 when MLflow is away and this
    is what was known so long ago.
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
    tags: dict[str, str] = field(default_factory=dict)
    age_seconds: float = 0.0

    @property
    def served_name(self) -> str:
        """``code-assistant:3``: the model name that clients of vLLM ask for."""
        return f"{self.name}:{self.version}"

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
