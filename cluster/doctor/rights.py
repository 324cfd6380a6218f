"""Whether whoever runs `cia cluster apply` may do what it does: every verb, on every kind that is applied.

A SelfSubjectRulesReview would list rights at once, but leaves out those that an authoriser other than RBAC gives, and all of
the whole cluster (https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cia.errors import CiaError
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.doctor.reading import ForbiddenError
from cluster.part import Object

AREA = "rights"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

APPLY = ("get", "list", "watch", "create", "patch")
"""What an apply and its wait do; without one of them it stops."""

DELETE = ("delete",)
"""What a delete and a prune do."""

SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Right:
    """``namespace`` None: in the whole cluster."""

    verb: str
    group: str
    resource: str
    namespace: str | None

    @property
    def resource_name(self) -> str:
        """The resource as `kubectl` takes it: deployments.apps, pods/log."""
        resource, slash, subresource = self.resource.partition("/")
        return f"{resource}.{self.group}{slash}{subresource}" if self.group else self.resource


def check_rights(examination: Examination) -> Iterator[Finding]:
    """Yield the rights that are missing, by resource."""
    if _allowed(examination, Right("*", "*", "*", None)):
        yield ok(AREA, "all", "you may do everything in this cluster")
        return
    needed = _needed(examination)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = list(pool.map(lambda right: _allowed(examination, right), needed))
    denied = [right for right, allowed in zip(needed, answers, strict=True) if not allowed]
    yield from _denied(_user(examination), denied) if denied else ()
    if len(denied) < len(needed):
        allowed_to = len({right.resource_name for right in needed} - {right.resource_name for right in denied})
        yield ok(AREA, "the others" if denied else "all", f"you may do all that {allowed_to} kinds take")


def granting(user: str, name: str, verbs: Sequence[str], resources: Sequence[str], namespace: str | None) -> str:
    """Return the commands with which an administrator gives ``user`` rights, of the whole cluster without a namespace."""
    kind, where = ("role", f"-n {namespace} ") if namespace else ("clusterrole", "")
    # The user name of a service account says what it is.
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    who = f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={user}"
    return (
        f"kubectl {where}create {kind} {name} --verb={','.join(verbs)} --resource={','.join(resources)} && "
        f"kubectl {where}create {kind}binding {name} --{kind}={name} {who}"
    )


def untold(area: str, errors: Iterable[ForbiddenError]) -> Iterator[Finding]:
    """Yield what cannot be told for want of rights to read, all that one role would grant at once."""
    alike: dict[tuple[str, str, str | None], list[str]] = {}
    for error in errors:
        alike.setdefault((error.user, error.verb, error.namespace), []).append(error.resource)
    for (user, verb, namespace), resources in alike.items():
        names = ", ".join(dict.fromkeys(resources))
        where = f" in {namespace}" if namespace else ""
        fix = granting(user, f"cia-doctor-{resources[0].partition('.')[0]}", [verb], resources, namespace)
        yield warning(area, names, f"cannot be told: you may not {verb} {'them' if len(resources) > 1 else 'it'}{where}", fix)


def _denied(user: str, denied: Sequence[Right]) -> Iterator[Finding]:
    """Yield one finding for all the resources whose same verbs are missing in the same place, as one role grants them."""
    verbs: dict[tuple[str | None, str], set[str]] = {}
    for right in denied:
        verbs.setdefault((right.namespace, right.resource_name), set()).add(right.verb)
    alike: dict[tuple[str | None, tuple[str, ...]], list[str]] = {}
    for (namespace, resource), missing_here in verbs.items():
        alike.setdefault((namespace, tuple(sorted(missing_here))), []).append(resource)
    for number, ((namespace, missing), resources) in enumerate(alike.items(), 1):
        subject = f"in {namespace}" if namespace else "whole cluster"
        state = broken if set(missing) & set(APPLY) else warning
        fix = granting(user, f"cia-apply-{number}", missing, resources, namespace)
        yield state(AREA, subject, f"you may not {', '.join(missing)} {', '.join(resources)}", fix)


def _user(examination: Examination) -> str:
    """Return who asks, by the name that roles are bound to."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        return str(examination.reading.review(WHO, body)["status"]["userInfo"]["username"])
    except CiaError:
        return "YOU"  # before Kubernetes 1.28


def _needed(examination: Examination) -> list[Right]:
    """Return every right that applying and deleting the parts takes. A kind that the server does not know is told elsewhere."""
    rights: dict[Right, None] = {}
    for built in examination.objects:
        kind = examination.reading.kind(built["apiVersion"], built["kind"])
        if kind is None:
            continue
        namespace = built["metadata"].get("namespace") if kind.namespaced else None
        for verb in APPLY + DELETE:
            rights[Right(verb, kind.group, kind.plural, namespace)] = None
    for verb in ("get", "create", "patch"):
        rights[Right(verb, "", "secrets", examination.namespace)] = None
    rights[Right("list", "", "pods", examination.namespace)] = None
    rights[Right("list", "", "events", examination.namespace)] = None
    rights |= dict.fromkeys(right for built in examination.of_kind("Role", "ClusterRole") for right in _granted(built))
    return list(rights)


def _granted(role: Object) -> Iterator[Right]:
    """Yield what a role grants: nobody may grant what he has not himself (unless he may ``escalate`` roles)."""
    for rule in role.get("rules") or []:
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for verb in rule["verbs"]:
                    yield Right(verb, group, resource, role["metadata"].get("namespace"))


def _allowed(examination: Examination, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
    if right.namespace:
        attributes["namespace"] = right.namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(examination.reading.review(REVIEWS, body)["status"]["allowed"])
