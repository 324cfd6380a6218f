"""Whether somebody acts upon the objects of each API: without its controller an object is accepted, and nothing happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.apply.refusals import BROUGHT_BY
from cluster.doctor.endpoints import ready_endpoints
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.doctor.kinds import needed_kinds
from cluster.part import Object

AREA = "controllers"


@dataclass(frozen=True, slots=True)
class Controller:
    """The controller of an API group: a Deployment whose name has ``pattern`` in it, however it was installed."""

    group: str
    name: str
    pattern: str
    needed: bool = True


CONTROLLERS = (
    Controller("serving.kserve.io", "KServe's controller", "kserve-controller"),
    Controller("trainer.kubeflow.org", "the Trainer's controller", "trainer-controller"),
    Controller("jobset.x-k8s.io", "JobSet's controller", "jobset"),
    # Other collectors read ServiceMonitors too.
    Controller("monitoring.coreos.com", "the Prometheus operator", "prom.*operator", needed=False),
)

WEBHOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")


def check_controllers(examination: Examination) -> Iterator[Finding]:
    """Yield whether the controller of each API that is needed runs."""
    groups = _groups(examination)
    needed = [controller for controller in CONTROLLERS if controller.group in groups]
    deployments = examination.reading.items("/apis/apps/v1/deployments") if needed else []
    for controller in needed:
        found = [one for one in deployments if re.search(controller.pattern, one["metadata"]["name"])]
        yield _of_controller(controller, found)


def _of_controller(controller: Controller, found: list[Object]) -> Finding:
    project = BROUGHT_BY[controller.group].partition(",")[0]
    if not found:
        said = f"no Deployment is called anything like {controller.pattern}: {controller.group} would be kept, and not acted upon"
        fix = f"install {project} with its controller"
        state = broken if controller.needed else warning
        return state(AREA, controller.name, said, fix)
    for one in found:
        if (one.get("status") or {}).get("readyReplicas"):
            image = one["spec"]["template"]["spec"]["containers"][0]["image"].rpartition("/")[2]
            return ok(AREA, controller.name, f"runs as {one['metadata']['name']} in {one['metadata']['namespace']} ({image})")
    name, namespace = found[0]["metadata"]["name"], found[0]["metadata"]["namespace"]
    return broken(
        AREA,
        controller.name,
        f"no pod of {name} in {namespace} is ready",
        f"kubectl -n {namespace} describe deployment {name}; kubectl -n {namespace} logs deployment/{name}",
    )


def check_webhooks(examination: Examination) -> Iterator[Finding]:
    """Yield the webhooks that stand in the way of what is applied and do not answer."""
    groups = _groups(examination)
    seen: set[tuple[str, str]] = set()
    for plural in WEBHOOKS:
        for configuration in examination.reading.items(f"/apis/admissionregistration.k8s.io/v1/{plural}"):
            for webhook in configuration.get("webhooks") or []:
                service = (webhook.get("clientConfig") or {}).get("service")
                if not service or not groups & _watched(webhook) or (service["namespace"], service["name"]) in seen:
                    continue
                seen.add((service["namespace"], service["name"]))
                yield _of_webhook(examination, webhook, service["namespace"], service["name"])


def _of_webhook(examination: Examination, webhook: Object, namespace: str, service: str) -> Finding:
    subject = f"webhook {webhook['name']}"
    ready = ready_endpoints(examination.reading, namespace, service)
    if ready:
        return ok(AREA, subject, f"{ready} ready behind {service} in {namespace}")
    said = f"nothing is ready behind the Service {service} in {namespace}"
    fix = f"kubectl -n {namespace} get endpointslices,pods"
    if webhook.get("failurePolicy") == "Ignore":
        return warning(AREA, subject, f"{said}, so that nobody checks what is written", fix)
    return broken(AREA, subject, f"{said}, so that the server refuses what it should check", fix)


def _groups(examination: Examination) -> set[str]:
    return {api_version.rpartition("/")[0] for api_version, _ in needed_kinds(examination)} & set(BROUGHT_BY)


def _watched(webhook: Object) -> set[str]:
    return {group for rule in webhook.get("rules") or [] for group in rule.get("apiGroups") or []}
