"""An API server in memory, over HTTP: lists, selectors, versions, and rights that can be taken away."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cluster.connection import Connection
from cluster.part import Object

KINDS: dict[str, tuple[str, str, bool]] = {
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "Pod": ("v1", "pods", True),
    "Event": ("v1", "events", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ConfigMap": ("v1", "configmaps", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "LimitRange": ("v1", "limitranges", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "Deployment": ("apps/v1", "deployments", True),
    "StatefulSet": ("apps/v1", "statefulsets", True),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "Ingress": ("networking.k8s.io/v1", "ingresses", True),
    "IngressClass": ("networking.k8s.io/v1", "ingressclasses", False),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "StorageClass": ("storage.k8s.io/v1", "storageclasses", False),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", False),
    "InferenceService": ("serving.kserve.io/v1beta1", "inferenceservices", True),
    "LocalModelCache": ("serving.kserve.io/v1alpha1", "localmodelcaches", False),
    "ClusterTrainingRuntime": ("trainer.kubeflow.org/v1alpha1", "clustertrainingruntimes", False),
    "TrainJob": ("trainer.kubeflow.org/v1alpha1", "trainjobs", True),
    "JobSet": ("jobset.x-k8s.io/v1alpha2", "jobsets", True),
    "Prometheus": ("monitoring.coreos.com/v1", "prometheuses", True),
    "ServiceMonitor": ("monitoring.coreos.com/v1", "servicemonitors", True),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
}


class StandInCluster:
    """``kinds`` can be taken away, ``answers`` fixes what an address says, ``denied`` holds (verb, plural) that nobody may."""

    def __init__(self) -> None:
        self.kinds = dict(KINDS)
        self.answers: dict[str, tuple[int, Any]] = {"/version": (200, {"minor": "33", "gitVersion": "v1.33.1"})}
        self.denied: set[tuple[str, str]] = set()
        self.slow: dict[str, float] = {}
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._objects: dict[str, Object] = {}
        self._versions = itertools.count(1)
        self._lock = Lock()

    def add(self, kind: str, name: str, namespace: str | None = None, **fields: Any) -> None:
        """Put an object there; ``labels`` and ``annotations`` go into its metadata."""
        inside = {key: fields.pop(key) for key in ("labels", "annotations") if key in fields}
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **inside}
        self._objects[f"{self.path(kind, namespace)}/{name}"] = self._versioned({"kind": kind, "metadata": metadata, **fields})

    def path(self, kind: str, namespace: str | None = None) -> str:
        api_version, plural, _ = KINDS[kind]
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"

    def named(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return self._objects[f"{self.path(kind, namespace)}/{name}"]

    def remove(self, kind: str, name: str, namespace: str | None = None) -> None:
        del self._objects[f"{self.path(kind, namespace)}/{name}"]

    def serve(self) -> Connection:
        """Return a connection to it, as `cluster.connection.connect` would."""
        from kubernetes import client

        return Connection("stand-in", self.url, client.ApiClient(client.Configuration(host=self.url)), None)  # type: ignore[arg-type]

    def answer(self, method: str, address: str, body: Any) -> tuple[int, Any]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        self.requests.append((method, path))
        time.sleep(self.slow.get(path, 0))
        plural = next(
            (part for part in reversed(path.split("/")[2:]) if any(part == kind[1] for kind in self.kinds.values())), ""
        )
        verb = {"POST": "create", "PATCH": "patch"}.get(method, "list" if path.endswith(f"/{plural}") else "get")
        if path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": self._allows(body["spec"]["resourceAttributes"])}}
        if path.endswith("selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "ann"}}}
        if (verb, plural) in self.denied:
            said = f'{plural} is forbidden: User "ann" cannot {verb} resource "{plural}" in API group "" at the cluster scope'
            return 403, {"kind": "Status", "message": said}
        if path in self.answers:
            return self.answers[path]
        with self._lock:
            if method == "POST":
                return self._create(path, body)
            if method == "PATCH":
                return self._patch(path, body)
            return self._get(path, query)

    def _get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path in self._objects:
            return 200, self._objects[path]
        if known := self._discovered(path):
            return 200, known
        kind = next((name for name in self.kinds if path in self._lists(name)), None)
        if kind is None:
            return 404, {"kind": "Status", "message": "not found"}
        inside = [one for at, one in self._objects.items() if one["kind"] == kind and self._is_in(at, path)]
        return 200, {"items": [_without_kind(one) for one in inside if _selected(one, query)]}

    def _lists(self, kind: str) -> set[str]:
        spaces = {one["metadata"].get("namespace") for one in self._objects.values()} | {"code-assistant", "kube-system"}
        return {self.path(kind), *(self.path(kind, space) for space in spaces if space)}

    def _is_in(self, at: str, path: str) -> bool:
        return at.rpartition("/")[0] == path or "/namespaces/" not in path

    def _create(self, path: str, body: Object) -> tuple[int, Any]:
        at = f"{path}/{body['metadata']['name']}"
        if at in self._objects:
            return 409, {"kind": "Status", "message": "already exists"}
        if ("Namespace", body["metadata"]["namespace"]) not in {
            (one["kind"], one["metadata"]["name"]) for one in self._objects.values()
        }:
            return 404, {"kind": "Status", "message": "namespace not found"}
        self._objects[at] = self._versioned(body)
        return 201, self._objects[at]

    def _patch(self, path: str, body: Object) -> tuple[int, Any]:
        before = self._objects.get(path)
        if before is None:
            return 404, {"kind": "Status", "message": "not found"}
        if body["metadata"].get("resourceVersion") not in (None, before["metadata"]["resourceVersion"]):
            return 409, {"kind": "Status", "message": "the object has been modified"}
        self._objects[path] = self._versioned({**before, "data": {**(before.get("data") or {}), **body["data"]}})
        return 200, self._objects[path]

    def _versioned(self, built: Object) -> Object:
        return {**built, "metadata": {**built["metadata"], "resourceVersion": str(next(self._versions))}}

    def _allows(self, attributes: dict[str, str]) -> bool:
        asked = {(verb, plural) for verb in (attributes["verb"], "*") for plural in (attributes["resource"], "*")}
        if attributes["verb"] == "*":
            return not self.denied
        return not self.denied & asked

    def _discovered(self, path: str) -> Object | None:
        of_version = [
            (name, plural, inside) for name, (version, plural, inside) in self.kinds.items() if path.endswith(f"/{version}")
        ]
        if of_version and path.count("/") <= 3:
            return {"resources": [{"name": plural, "kind": name, "namespaced": inside} for name, plural, inside in of_version]}
        versions = {version for version, _, _ in self.kinds.values() if path == f"/apis/{version.partition('/')[0]}"}
        return {"versions": [{"version": version.partition("/")[2]} for version in sorted(versions)]} if versions else None


@contextmanager
def served(cluster: StandInCluster) -> Iterator[StandInCluster]:
    """Serve it on a free port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = cluster.answer(self.command, self.path, json.loads(sent) if sent else None)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _selected(built: Object, query: dict[str, list[str]]) -> bool:
    labels, metadata = built["metadata"].get("labels") or {}, built["metadata"]
    for term in ",".join(query.get("labelSelector", [])).split(","):
        key, _, value = term.partition("=")
        if term and labels.get(key) != value:
            return False
    fields = {
        "metadata.name": metadata["name"],
        "spec.nodeName": (built.get("spec") or {}).get("nodeName"),
        "involvedObject.kind": (built.get("involvedObject") or {}).get("kind"),
        "involvedObject.name": (built.get("involvedObject") or {}).get("name"),
    }
    terms = [term.partition("=") for one in query.get("fieldSelector", []) for term in one.split(",")]
    return all(fields[key] == value for key, _, value in terms)


def _without_kind(built: Object) -> Object:
    """As in a list, whose items do not say what they are."""
    return {key: value for key, value in built.items() if key not in ("kind", "apiVersion")}
