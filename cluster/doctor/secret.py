"""Whether the secret has a value for every key that pods take from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, skipped, warning
from cluster.secret_keys import SecretKey
from cluster.secrets import secret_keys

AREA = "secret"


def check_secret(examination: Examination) -> Iterator[Finding]:
    """Yield the keys that are missing or empty: who makes them, and which parts do not start without."""
    name = examination.settings.cluster.secret
    there = examination.reading.get(f"/api/v1/namespaces/{examination.namespace}/secrets/{name}")
    if there is None:
        yield warning(AREA, name, f"there is no secret {name} in {examination.namespace} yet", "cia cluster apply makes it")
        return
    data = there.get("data") or {}
    required, optional = _referenced(examination)
    known = {key.key: key for key in secret_keys(examination.settings)}
    wanted = [key for key in known.values() if key.needed_by in examination.parts or key.key in required | optional]
    absent = [key for key in wanted if not data.get(key.key)]
    yield ok(AREA, name, f"{len(wanted) - len(absent)} of {len(wanted)} keys have a value")
    yield from _absent(absent)
    for unlisted in sorted(key for key in required - set(known) if not data.get(key)):
        patch = json.dumps({"stringData": {unlisted: "VALUE"}})
        fix = f"kubectl -n {examination.namespace} patch secret {name} --type=merge -p '{patch}'"
        yield broken(AREA, unlisted, "a setting names this key, and the secret does not have it", fix)


def _absent(keys: Sequence[SecretKey]) -> Iterator[Finding]:
    made = [key for key in keys if key.generated]
    if made:
        parts = ", ".join(dict.fromkeys(key.needed_by for key in made))
        yield broken(AREA, _named(made), f"missing or empty; without them {parts} does not start", "cia cluster apply makes them")
    for key in keys:
        if not key.generated and not key.optional:
            said = f"is to be given by you: {key.what}, for {key.needed_by}"
            yield broken(AREA, key.key, said, f"cia cluster secret set {key.key}")
    if left := [key for key in keys if not key.generated and key.optional]:
        yield skipped(AREA, _named(left), "not given, and need not be; `cia cluster secret set KEY` takes them")


def _named(keys: Sequence[SecretKey]) -> str:
    return ", ".join(key.key for key in keys)


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
