"""Whether the namespace's ResourceQuotas and LimitRanges have room for what is applied."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok
from cluster.doctor.workloads import Amounts, Workload, amounts, total
from cluster.part import Object

AREA = "quotas"

PLURALS = {
    "PersistentVolumeClaim": "persistentvolumeclaims", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets",
}  # fmt: skip
"""Kinds that a quota counts under a name of its own."""


def check_quotas(examination: Examination) -> Iterator[Finding]:
    """Yield the quotas under which not everything fits."""
    quotas = examination.reading.items(f"/api/v1/namespaces/{examination.namespace}/resourcequotas")
    asked = _asked(examination) if quotas else {}
    for quota in quotas:
        if not quota["spec"].get("scopes") and not quota["spec"].get("scopeSelector"):
            yield from _of_quota(examination, quota, asked)
    yield from _of_limit_ranges(examination)


def _of_quota(examination: Examination, quota: Object, asked: Amounts) -> Iterator[Finding]:
    from kubernetes.utils import parse_quantity

    name = quota["metadata"]["name"]
    hard = {resource: parse_quantity(amount) for resource, amount in (quota["spec"].get("hard") or {}).items()}
    exceeded = [resource for resource in sorted(hard) if asked.get(resource, Decimal()) > hard[resource]]
    for resource in exceeded:
        said = f"{name} allows {readable(hard[resource])} of {resource}, the selected parts ask for {readable(asked[resource])}"
        fix = f"kubectl -n {examination.namespace} edit resourcequota {name}, or smaller amounts in the settings"
        yield broken(AREA, resource, said, fix)
    if not exceeded:
        yield ok(AREA, name, "has room for all that is applied")


def _asked(examination: Examination) -> Amounts:
    """Return what quotas count, under their names: https://kubernetes.io/docs/concepts/policy/resource-quotas."""
    from kubernetes.utils import parse_quantity

    lasting = [one for one in examination.workloads if one.lasting and one.kind != "DaemonSet"]
    asked: Amounts = {"pods": Decimal(sum(one.replicas for one in lasting))}
    for side in ("requests", "limits"):
        for resource, amount in total((one.asked(side), one.replicas) for one in lasting).items():
            asked[f"{side}.{resource}"] = amount
    asked |= {resource: asked[f"requests.{resource}"] for resource in ("cpu", "memory") if f"requests.{resource}" in asked}
    ours = [built for built in examination.objects if built["metadata"].get("namespace") == examination.namespace]
    for built in ours:
        if plural := PLURALS.get(built["kind"]):
            asked[plural] = asked.get(plural, Decimal()) + 1
        for claim, times in _claims(built):
            size = parse_quantity(claim["spec"]["resources"]["requests"]["storage"])
            asked["requests.storage"] = asked.get("requests.storage", Decimal()) + size * times
    return asked


def _claims(built: Object) -> Iterator[tuple[Object, int]]:
    if built["kind"] == "PersistentVolumeClaim":
        yield built, 1
    elif built["kind"] == "StatefulSet":
        for template in built["spec"].get("volumeClaimTemplates") or []:
            yield template, built["spec"].get("replicas", 1)


def _of_limit_ranges(examination: Examination) -> Iterator[Finding]:
    from kubernetes.utils import parse_quantity

    for limit_range in examination.reading.items(f"/api/v1/namespaces/{examination.namespace}/limitranges"):
        name = limit_range["metadata"]["name"]
        most = {
            resource: parse_quantity(amount)
            for limit in limit_range["spec"]["limits"]
            if limit["type"] == "Container"
            for resource, amount in (limit.get("max") or {}).items()
        }
        over = [said for one in examination.workloads for said in _over(one, most)]
        if over:
            fix = f"kubectl -n {examination.namespace} edit limitrange {name}, or smaller amounts in the settings"
            yield broken(AREA, name, f"does not allow {'; '.join(over[:3])}{' and more' if len(over) > 3 else ''}", fix)
        elif most:
            yield ok(AREA, name, "allows each container what it may take")


def _over(workload: Workload, most: Amounts) -> Iterator[str]:
    for container in workload.containers:
        for resource, amount in amounts(container, "limits").items():
            if resource in most and amount > most[resource]:
                yield f"{workload.name} {readable(amount)} of {resource} (at most {readable(most[resource])})"


def readable(amount: Decimal) -> str:
    """Return an amount as a person writes it: 4, 500m, 32Gi."""
    for exponent, suffix in ((4, "Ti"), (3, "Gi"), (2, "Mi")):
        unit = Decimal(1024) ** exponent
        if amount >= unit:
            return f"{(amount / unit).quantize(Decimal('0.1')).normalize():f}{suffix}"
    return f"{amount.normalize():f}" if amount == amount.to_integral_value() or amount >= 10 else f"{int(amount * 1000)}m"
