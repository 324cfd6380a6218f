"""What an API server refuses, in a sentence for the person who asked: what was wrong and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cia.errors import AccessError, CiaError, OperationError, UnavailableError

BROUGHT_BY = {
    "serving.kserve.io": "KServe",
    "trainer.kubeflow.org": "the Kubeflow Trainer",
    "jobset.x-k8s.io": "JobSet, which comes with the Kubeflow Trainer",
    "monitoring.coreos.com": "the Prometheus operator",
    "serving.knative.dev": "Knative Serving",
    "pipelines.kubeflow.org": "Kubeflow Pipelines",
    "gateway.networking.k8s.io": "the Gateway API",
    "keda.sh": "KEDA",
    "snapshot.storage.k8s.io": "the CSI snapshot controller",
}
"""The project whose installation brings the kinds of an API group."""

LONGEST = 400
"""Characters of a server's own words. A refused pod template comes back whole."""


class ConflictError(OperationError):
    """Other field managers hold what an apply would write: ``fields`` by the name of who holds them."""

    def __init__(self, message: str, fields: dict[str, list[str]]) -> None:
        super().__init__(message)
        self.fields = fields


class UnaskedError(OperationError):
    """A dry run cannot tell, as the object lies in something that is not there yet or a webhook takes no dry runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request was about. ``resource`` is the plural with its group, as rights name it: deployments.apps."""

    verb: str
    kind: str
    name: str
    namespace: str | None
    resource: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    @property
    def where(self) -> str:
        return f"in the namespace {self.namespace}" if self.namespace else "in the whole cluster"


def missing_kind(kind: str, api_version: str) -> OperationError:
    """Return the sentence for a kind that the server does not know."""
    group, _, version = api_version.rpartition("/")
    project = BROUGHT_BY.get(group, f"what brings {group or 'it'}")
    return OperationError(
        f"the cluster has no kind {kind} ({group or 'core'}, {version}): install {project}, in a release that has {version}, "
        "or have the settings deploy nothing of it"
    )


def refusal(error: Any, target: Target) -> CiaError:
    """Return the sentence for the ``ApiException`` that answered a request about ``target``."""
    status = _status(error)
    message, causes = _words(status.get("message") or error.reason or ""), _causes(status)
    if webhook := _webhook(message, target):
        return webhook
    match error.status:
        case 401:
            return AccessError(f"the server no longer takes your credentials ({message}); log in again")
        case 403:
            return _forbidden(message, causes, target)
        case 404:
            return _not_found(message, status, target)
        case 409:
            return _conflict(message, causes, target)
        case 422 | 400:
            return _invalid(message, causes, target)
        case 429 | 503 | 504:
            return UnavailableError(
                f"the server is too busy to {target.verb} {target} ({error.status} {message}); try again later"
            )
    if undeclared := re.findall(r"(\.[\w.\[\]\"-]+): field not declared in schema", message):
        return _undeclared(undeclared, target)
    return OperationError(f"the server failed to {target.verb} {target}: {error.status} {message}")


def _webhook(message: str, target: Target) -> CiaError | None:
    if found := re.search(r'failed calling webhook "([^"]+)"(.*)', message):
        service = re.search(r"https?://([\w-]+)\.([\w-]+)\.svc", message)
        whose = f" of the service {service[1]} in {service[2]}" if service else ""
        look = f"kubectl -n {service[2]} get endpointslices,pods" if service else "its pods"
        return OperationError(
            f"{target}: the admission webhook {found[1]}{whose} does not answer ({found[2].strip(': ')}); look at `{look}`"
        )
    if found := re.search(r'admission webhook "([^"]+)" does not support dry run', message):
        return UnaskedError(f"{target}: the admission webhook {found[1]} takes no dry runs")
    if found := re.search(r'admission webhook "([^"]+)" denied the request:?\s*(.*)', message):
        return OperationError(f"{target}: the admission webhook {found[1]} does not allow it: {found[2]}")
    return None


def _forbidden(message: str, causes: list[dict[str, str]], target: Target) -> CiaError:
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return OperationError(f"the namespace {target.namespace} is being deleted; wait until it is gone, then apply again")
    if found := re.search(r'User "([^"]*)" cannot (\w+) resource "([^"]*)"(?: in API group "([^"]*)")?', message):
        resource = ".".join(part for part in (found[3], found[4]) if part)
        return AccessError(
            f"{found[1] or 'who asks'} may not {found[2]} {resource} {target.where}; "
            "have a role bound that allows it: `cia cluster doctor` lists the rights"
        )
    if "exceeded quota" in message or "failed quota" in message:
        return OperationError(
            f"{target}: the quota of {target.namespace} does not allow it: {message.partition(': ')[2]}; raise it"
        )
    if "attempting to grant RBAC permissions not currently held" in message:
        return AccessError(
            f"{target} grants rights that you do not hold yourself; have an administrator of the cluster apply `access`"
        )
    if "pvc can be resized" in message:
        return OperationError(
            f"{target} cannot grow: its storage class does not allow volumes to be expanded; "
            "write the size that it has to the settings, or move the data to a new volume"
        )
    return OperationError(f"{target} is forbidden: {message}")


def _not_found(message: str, status: dict[str, Any], target: Target) -> CiaError:
    if status.get("details", {}).get("kind") == "namespaces":
        return UnaskedError(f"{target}: there is no namespace {target.namespace}; make it, or apply the part `namespace` too")
    if "could not find the requested resource" in message:
        return OperationError(
            f"the cluster no longer has the kind {target.kind}; was its CRD removed? `cia cluster doctor` tells"
        )
    return UnaskedError(f"{target} rests on what is not there: {message}")


def _conflict(message: str, causes: list[dict[str, str]], target: Target) -> CiaError:
    fields: dict[str, list[str]] = {}
    for cause in causes:
        if cause.get("reason") == "FieldManagerConflict":
            manager = re.search(r'conflict with "([^"]+)"', cause.get("message", ""))
            fields.setdefault(manager[1] if manager else "another", []).append(cause.get("field", "?").lstrip("."))
    if not fields:
        return OperationError(f"{target} changed while this was written: {message}; run the same command again")
    held = "; ".join(f"{manager} holds {_listed(held)}" for manager, held in sorted(fields.items()))
    return ConflictError(f"{target}: {held}. --force-conflicts takes that over", fields)


def _invalid(message: str, causes: list[dict[str, str]], target: Target) -> CiaError:
    if undeclared := re.findall(r"(\.[\w.\[\]\"-]+): field not declared in schema", message):
        return _undeclared(undeclared, target)
    if "immutable" in message or "updates to statefulset spec" in message or "field can not be less than" in message:
        return OperationError(_unchangeable(causes, target))
    told = [f"{cause.get('field', '?')}: {_words(cause.get('message', ''))}" for cause in causes]
    return OperationError(f"{target} does not hold: {_listed(told) if told else message}")


def _unchangeable(causes: list[dict[str, str]], target: Target) -> str:
    fields = _listed([cause["field"] for cause in causes if cause.get("field")]) or "what changed"
    if target.kind == "PersistentVolumeClaim":
        return (
            f"{target} keeps its class and never shrinks ({fields}); write to the settings what it has, or move the data to "
            "a new volume"
        )
    where = f"-n {target.namespace} " if target.namespace else ""
    delete = f"kubectl {where}delete {target.kind.lower()} {target.name}"
    if target.kind == "StatefulSet":
        return (
            f"{target}: Kubernetes lets nobody change {fields} of a StatefulSet, its volumes among them; "
            f"`{delete} --cascade=orphan` keeps its pods and data, then apply again"
        )
    return f"{target}: Kubernetes lets nobody change {fields} once it is made; `{delete}`, then apply again"


def _undeclared(fields: Sequence[str], target: Target) -> OperationError:
    return OperationError(
        f"{target}: the cluster's {target.kind} has no field {_listed([field.lstrip('.') for field in fields])}; "
        "its CRD is of another release: `cia cluster doctor` compares them"
    )


def _listed(words: Sequence[str], most: int = 5) -> str:
    unique = list(dict.fromkeys(words))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more


def _status(error: Any) -> dict[str, Any]:
    try:
        status = json.loads(error.body)
    except (TypeError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _causes(status: dict[str, Any]) -> list[dict[str, str]]:
    return (status.get("details") or {}).get("causes") or []


def _words(message: str) -> str:
    """Return a server's message in one line, without the value that it found wrong where that is long."""
    line = " ".join(message.split())
    line = re.sub(r"Invalid value: .{200,}?: ((?:field is immutable|[^:]{0,200})$)", r"\1", line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
