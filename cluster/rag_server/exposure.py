"""What leads people to the RAG server: an Ingress, a route of a Gateway, or nothing but `kubectl port-forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from inference_services.object_metadata import metadata

if TYPE_CHECKING:
    from kubernetes.client import V1Ingress

LONGEST_ANSWER_SECONDS = 300
LOOPBACK = ("localhost", "127.0.0.1")


def route(settings: Settings, service: str, port: int) -> list[Any]:
    """Return what leads to ``port`` of ``service`` from outside, with the certificate of ``cluster.rag_server.tls_secret``."""
    exposed_by = settings.cluster.rag_server.exposed_by
    if exposed_by == "ingress":
        return [_ingress(settings, service)]
    return [_http_route(settings, service, port)] if exposed_by == "gateway" else []


def own_names(settings: Settings, service: str) -> list[str]:
    """Return the names that the server is asked by: people's, the cluster's, and the one of a port-forward."""
    namespace = settings.cluster.namespace
    inside = [service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
    return [settings.cluster.rag_server.host, *inside, *LOOPBACK]


def _ingress(settings: Settings, service: str) -> V1Ingress:
    from kubernetes import client

    server = settings.cluster.rag_server
    backend = client.V1IngressBackend(
        service=client.V1IngressServiceBackend(name=service, port=client.V1ServiceBackendPort(name="http"))
    )
    paths = [client.V1HTTPIngressPath(path="/", path_type="Prefix", backend=backend)]
    # An answer that is streamed has pauses. Other controllers than NGINX's have their own words for it.
    patience = {"nginx.ingress.kubernetes.io/proxy-read-timeout": str(LONGEST_ANSWER_SECONDS)}
    return client.V1Ingress(
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        metadata=metadata(settings, service, annotations=patience),
        spec=client.V1IngressSpec(
            ingress_class_name=server.ingress_class,
            tls=[client.V1IngressTLS(hosts=[server.host], secret_name=server.tls_secret)],
            rules=[client.V1IngressRule(host=server.host, http=client.V1HTTPIngressRuleValue(paths=paths))],
        ),
    )


def _http_route(settings: Settings, service: str, port: int) -> dict[str, Any]:
    """The Gateway API's models are in no Kubernetes SDK. The Gateway, which is the cluster's, holds the certificate."""
    server = settings.cluster.rag_server
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"name": service, "port": port}],
        "timeouts": {"request": f"{LONGEST_ANSWER_SECONDS}s"},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(settings, service),
        "spec": {
            "parentRefs": [{"name": server.gateway, "namespace": settings.cluster.network.ingress_namespace}],
            "hostnames": [server.host],
            "rules": [rule],
        },
    }
