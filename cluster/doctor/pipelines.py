"""Kubeflow Pipelines: whether its API answers, and whether runs may be in our namespace."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cluster.doctor.endpoints import ready_endpoints
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning

AREA = "pipelines"
SERVICE, PORT = "ml-pipeline", 8888
PROFILE = "kubeflow-profile"
"""What the label part-of of a multi-user namespace says."""


def check_pipelines(examination: Examination) -> Iterator[Finding]:
    """Yield whether Kubeflow Pipelines is there, answers, and runs in our namespace; told when all parts are looked at."""
    if examination.settings.pipeline.engine != "kubeflow" or examination.others:
        return
    reading, where = examination.reading, examination.settings.cluster.network.pipelines_namespace
    look = f"kubectl -n {where} get pods,services"
    if reading.get(f"/api/v1/namespaces/{where}/services/{SERVICE}") is None:
        fix = "install Kubeflow Pipelines, or set cluster.network.pipelines_namespace to where it is"
        yield broken(AREA, SERVICE, f"there is no Service {SERVICE} in {where}", fix)
        return
    if not ready_endpoints(reading, where, SERVICE):
        yield broken(AREA, SERVICE, f"no pod behind {SERVICE} in {where} is ready", look)
        return
    status, said = reading.status(f"/api/v1/namespaces/{where}/services/{SERVICE}:{PORT}/proxy/apis/v2beta1/healthz")
    if status != 200:
        yield ok(AREA, SERVICE, f"is ready in {where}; not asked: the API server's proxy answers {status or 'nothing'}")
        return
    health = json.loads(said)
    yield ok(AREA, SERVICE, f"answers in {where}, version {health.get('tag_name', 'unknown')}")
    yield _of_namespace(examination, where, bool(health.get("multi_user")))


def _of_namespace(examination: Examination, where: str, multi_user: bool) -> Finding:
    ours = examination.namespace
    if not multi_user:
        if ours == where:
            return ok(AREA, "namespace", f"runs are in {where}, as ours are")
        said = f"for a single user runs are in {where}, and reach neither the secret nor the volume in {ours}"
        return broken(AREA, "namespace", said, f"set cluster.namespace to {where}")
    namespace = examination.reading.get(f"/api/v1/namespaces/{ours}") or {}
    if ((namespace.get("metadata") or {}).get("labels") or {}).get("app.kubernetes.io/part-of") == PROFILE:
        return ok(AREA, "namespace", f"{ours} is a profile's")
    return warning(
        AREA,
        "namespace",
        f"for several users runs are in the namespaces of profiles; {ours} is none",
        f"make a Profile called {ours}",
    )
