"""Whether the secret has a value for every key that pods take from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, skipped, warning
from cluster.secret_keys import SecretKey
from cluster.secrets import secret_keys

AREA = "secret"


def check_secret(examination: Examination) -> Iterator[Finding]:
    """Yield the keys that are missing or empty: who makes them, and which pods do not start without."""
    name = examination.settings.cluster.secret
    there = examination.reading.get(f"/api/v1/namespaces/{examination.namespace}/secrets/{name}")
    data = (there or {}).get("data") or {}
    required, optional = _referenced(examination)
    known = {key.key: key for key in secret_keys(examination.settings)}
    wanted = [key for key in known.values() if key.needed_by in examination.parts or key.key in required | optional]
    if there is None:
        yield broken(AREA, name, f"there is no secret {name} in {examination.namespace}", "cia cluster apply makes it")
    for key in wanted if there else []:
        if not data.get(key.key):
            yield _missing(key)
    for unlisted in sorted(required - set(known)):
        if not data.get(unlisted):
            patch = json.dumps({"stringData": {unlisted: "VALUE"}})
            fix = f"kubectl -n {examination.namespace} patch secret {name} --type=merge -p '{patch}'"
            yield broken(AREA, unlisted, "a setting names this key, and the secret does not have it", fix)
    if there:
        present = sum(bool(data.get(key.key)) for key in wanted)
        yield ok(AREA, name, f"{present} of {len(wanted)} keys have a value")


def _missing(key: SecretKey) -> Finding:
    if key.generated:
        return broken(AREA, key.key, f"is missing or empty: {key.what}, for {key.needed_by}", "cia cluster apply makes it")
    fix = f"cia cluster secret set {key.key}"
    if key.optional:
        return skipped(AREA, key.key, f"is not given, and need not be: {key.what} ({fix})")
    return warning(AREA, key.key, f"is to be given by you: {key.what}, for {key.needed_by}", fix)


def _referenced(examination: Examination) -> tuple[set[str], set[str]]:
    """Return the keys of our secret that the pods ask for: those that they do not start without, and the optional ones."""
    required: set[str] = set()
    optional: set[str] = set()
    for reference in _references(examination.objects):
        if reference.get("name") == examination.settings.cluster.secret and "key" in reference:
            (optional if reference.get("optional") else required).add(reference["key"])
    return required, optional


def _references(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("secretKeyRef"), dict):
            yield reference
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
