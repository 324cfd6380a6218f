"""What single settings ask of the cluster: KEDA, metrics, an ingress class, Knative's flags, KServe's model cache."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from inference_services.autoscaling import AUTOSCALER
from inference_services.ignored_by_kserve import DEPLOYMENT_MODE

AREA = "add-ons"
DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"
KNATIVE_FLAGS = ("kubernetes.podspec-nodeselector", "kubernetes.podspec-tolerations")


def check_autoscaling(examination: Examination) -> Iterator[Finding]:
    """Yield whether what scales our workloads is there."""
    if examination.of_kind("HorizontalPodAutoscaler"):
        if _served(examination, "metrics.k8s.io"):
            yield ok(AREA, "metrics", "the server has pods' CPU for the autoscalers")
        else:
            yield warning(AREA, "metrics", "nobody serves metrics.k8s.io: nothing is scaled", "install metrics-server")
    annotations = [built["metadata"].get("annotations") or {} for built in examination.of_kind("InferenceService")]
    if any(one.get(AUTOSCALER) == "keda" for one in annotations):
        if _served(examination, "keda.sh"):
            yield ok(AREA, "KEDA", "is there")
        else:
            fix = "install KEDA, or take autoscale-probe out of inference_services.deployed"
            yield broken(AREA, "KEDA", "the autoscale probe is scaled by KEDA, which is not there", fix)
    if any(one.get(DEPLOYMENT_MODE) == "Knative" for one in annotations):
        yield from _knative(examination)


def check_ingress(examination: Examination) -> Iterator[Finding]:
    """Yield whether the class of each Ingress exists, and its certificate."""
    ingresses = examination.of_kind("Ingress")
    if not ingresses:
        return
    classes = {one["metadata"]["name"]: one for one in examination.reading.items("/apis/networking.k8s.io/v1/ingressclasses")}
    defaults = [
        name for name, one in classes.items() if (one["metadata"].get("annotations") or {}).get(DEFAULT_INGRESS) == "true"
    ]
    choose = (
        f"set cluster.rag_server.ingress_class to one of {', '.join(sorted(classes))}"
        if classes
        else "install an ingress controller"
    )
    fix = f"{choose}; or set cluster.rag_server.exposed_by to nothing"
    for built in ingresses:
        wanted = built["spec"].get("ingressClassName")
        if wanted in classes or (wanted is None and defaults):
            yield ok(AREA, f"ingress class {wanted or defaults[0]}", "is there")
        elif wanted is None:
            yield broken(AREA, "ingress class", "the cluster has no default ingress class", fix)
        else:
            yield broken(AREA, f"ingress class {wanted}", "the cluster does not have it", fix)
        for tls in built["spec"].get("tls") or []:
            yield from _certificate(examination, str(tls.get("secretName")))


def check_gateway(examination: Examination) -> Iterator[Finding]:
    """Yield whether the Gateway that each route joins is there."""
    for route in examination.of_kind("HTTPRoute"):
        for parent in route["spec"].get("parentRefs") or []:
            name, namespace = parent["name"], parent.get("namespace", examination.namespace)
            path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}"
            if examination.reading.get(path) is None:
                fix = "set cluster.rag_server.gateway and cluster.network.ingress_namespace to yours, or exposed_by to ingress"
                yield broken(AREA, f"Gateway {name}", f"is not there in {namespace}", fix)
            else:
                yield ok(AREA, f"Gateway {name}", f"is there in {namespace}")


def check_runtime_classes(examination: Examination) -> Iterator[Finding]:
    """Yield whether the RuntimeClasses that pods name are there: without its own a pod is refused."""
    for name in sorted({one.pod["runtimeClassName"] for one in examination.workloads if one.pod.get("runtimeClassName")}):
        if examination.reading.get(f"/apis/node.k8s.io/v1/runtimeclasses/{name}") is None:
            fix = "set cluster.gpu.runtime_class to one of `kubectl get runtimeclasses`, or to null for the nodes' default"
            yield broken(AREA, f"RuntimeClass {name}", "is not there", fix)
        else:
            yield ok(AREA, f"RuntimeClass {name}", "is there")


def check_model_cache(examination: Examination) -> Iterator[Finding]:
    """Yield whether KServe keeps models on nodes. Where its feature is off, each pod downloads its own, without a word."""
    if not examination.of_kind("LocalModelCache"):
        return
    fix = "set localModel.enabled in the ConfigMap inferenceservice-config, or inference_services.weights.source to claim"
    named = examination.reading.items("/api/v1/configmaps", fieldSelector="metadata.name=inferenceservice-config")
    if not named:
        yield warning(AREA, "model cache", "KServe's ConfigMap inferenceservice-config is not found", fix)
    elif json.loads((named[0].get("data") or {}).get("localModel") or "{}").get("enabled") is not True:
        yield broken(AREA, "model cache", "KServe's local models are off: every pod would download its model", fix)
    else:
        yield ok(AREA, "model cache", "is on")
    group = examination.settings.inference_services.weights.node_group
    if examination.reading.get(f"/apis/serving.kserve.io/v1alpha1/localmodelnodegroups/{group}") is None:
        said = f"there is no LocalModelNodeGroup {group}"
        yield broken(AREA, "node group", said, "make one, or set inference_services.weights.node_group to yours")


def _knative(examination: Examination) -> Iterator[Finding]:
    flags = examination.reading.get("/api/v1/namespaces/knative-serving/configmaps/config-features") or {}
    off = [flag for flag in KNATIVE_FLAGS if (flags.get("data") or {}).get(flag) != "enabled"]
    if off:
        patch = json.dumps({"data": dict.fromkeys(off, "enabled")})
        fix = f"kubectl -n knative-serving patch configmap config-features --type=merge -p '{patch}'"
        yield broken(AREA, "Knative", f"does not allow {', '.join(off)}, which the autoscale probe's pods have", fix)
    else:
        yield ok(AREA, "Knative", "allows what our pods have")


def _certificate(examination: Examination, secret: str) -> Iterator[Finding]:
    if examination.reading.get(f"/api/v1/namespaces/{examination.namespace}/secrets/{secret}") is None:
        fix = (
            f"kubectl -n {examination.namespace} create secret tls {secret} --cert=FILE --key=FILE, or have cert-manager make it"
        )
        yield warning(AREA, f"certificate {secret}", "is not there: browsers get the ingress controller's own", fix)
    else:
        yield ok(AREA, f"certificate {secret}", "is there")


def _served(examination: Examination, group: str) -> bool:
    return examination.reading.get(f"/apis/{group}") is not None
