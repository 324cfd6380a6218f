"""Registers a candidate once, and promotes it when the gate let it through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from cia.evaluation import Decision, EvaluationReport
from cia.registry import RegisteredAdapter, Registry
from cia.settings import load_settings

CANDIDATE_TAG = "candidate_digest"
PROMOTER = "pipeline"


def register(adapter: Path, facts: Mapping[str, object], scores: Path) -> tuple[str, str]:
    """Return the version of the adapter and a sentence about it. ``facts`` are the metadata that ``fine_tune_llm`` left.

    A candidate that is registered already, with the same files, scores and decision, keeps its version.
    """
    decision = Decision.from_json(json.loads((scores / "decision.json").read_text(encoding="utf-8")))
    report = EvaluationReport.from_json((scores / "candidate.json").read_text(encoding="utf-8"))
    digest = _digest(adapter, scores)
    registry = Registry(load_settings())
    version = next((known for known in registry.list() if known.tags.get(CANDIDATE_TAG) == digest), None)
    if version is None:
        tags = {
            CANDIDATE_TAG: digest,
            "data_digest": str(facts.get("data_digest", "")),
            "questions_hash": report.data_hash,
            "index_fingerprint": report.index_fingerprint,
            "code": str(facts.get("code", "")),
        }
        run_id = str(facts.get("run_id", "")) or None
        base = str(facts["base"])
        version = registry.register(adapter, report.means, decision, base, run_id=run_id, tags=tags, evaluation=scores)
    if decision.promoted and "promoted_at" not in version.tags:
        version = registry.promote(version.version, by=PROMOTER, why=decision.reason)
    return str(version.version), _sentence(registry, version)


def _sentence(registry: Registry, version: RegisteredAdapter) -> str:
    production = registry.production()
    serving = f"{production.served_name} is in Production" if production else "nothing is in Production"
    return f"{version.served_name}, {version.reason}; {serving}"


def _digest(adapter: Path, scores: Path) -> str:
    digest = hashlib.sha256()
    for path in [*sorted(adapter.iterdir()), scores / "decision.json"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
