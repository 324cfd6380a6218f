"""What our settings ask of the cluster beside kinds: network plugins, ingress, autoscalers, a model cache."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from cluster.doctor.addons import check_autoscaling, check_gateway, check_ingress, check_model_cache, check_runtime_classes
from cluster.doctor.isolation import check_isolation
from cluster.doctor.openings import check_openings
from tests.cluster.doctor.conftest import Ask
from tests.cluster.doctor.objects_to_apply import HERE, HPA, POLICY, deployment, service
from tests.cluster.stand_in_cluster import StandInCluster


def test_policies_that_nobody_is_known_to_enforce_are_a_warning(cluster: StandInCluster, ask: Ask) -> None:
    assert ask(check_isolation) == []
    assert ask(check_isolation, POLICY)[0].state == "warning"
    cluster.add("DaemonSet", "aws-node", "kube-system")
    assert "when told to" in ask(check_isolation, POLICY)[0].said
    cluster.add("DaemonSet", "calico-node", "kube-system")
    assert ask(check_isolation, POLICY)[0].said == "calico-node enforces them"


def test_an_api_server_that_our_policies_close_is_told(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Pod", "coredns", "kube-system", labels={"k8s-app": "kube-dns"})
    behind: dict[str, Any] = {"endpoints": [{"addresses": ["203.0.113.7"]}], "ports": [{"port": 6443}]}
    cluster.add("EndpointSlice", "kubernetes", "default", labels={"kubernetes.io/service-name": "kubernetes"}, **behind)
    (closed, _) = ask(check_openings, POLICY)
    assert (closed.state, closed.fix) == ("broken", "add 203.0.113.7/32 to cluster.network.api_server")
    behind["endpoints"][0]["addresses"] = ["10.0.0.1"]
    assert {finding.state for finding in ask(check_openings, POLICY)} == {"ok"}
    behind["ports"][0]["port"] = 16443
    (closed,) = ask(check_openings, POLICY)[:1]
    assert closed.said == "listens on 16443; our policies open 443 and 6443"
    assert (closed.state, closed.fix) == ("broken", "add 16443 to cluster.network.api_server_ports")


def test_a_namespace_that_our_policies_open_and_is_not_there_is_told_with_its_setting(cluster: StandInCluster, ask: Ask) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    policy = {**POLICY, "spec": {"ingress": [{"from": [peer]}]}}
    names, ingress = ask(check_openings, policy)
    assert (names.state, names.subject) == ("warning", "names")
    assert (ingress.subject, ingress.state) == ("namespace ingress-nginx", "warning")
    assert ingress.fix.startswith("set cluster.network.ingress_namespace ")
    cluster.add("Namespace", "ingress-nginx")
    assert len(ask(check_openings, policy)) == 1


def test_an_ingress_without_its_class_or_certificate_is_told(cluster: StandInCluster, ask: Ask) -> None:
    ingress: dict[str, Any] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "rag", "namespace": HERE},
    }
    ingress["spec"] = {"tls": [{"secretName": "tls"}]}
    cluster.add("IngressClass", "nginx")
    absent, certificate = ask(check_ingress, ingress)
    assert (absent.state, absent.said) == ("broken", "the cluster has no default ingress class")
    assert absent.fix.startswith("set cluster.rag_server.ingress_class to one of nginx")
    assert (certificate.state, certificate.subject) == ("warning", "certificate tls")
    ingress["spec"]["ingressClassName"] = "nginx"
    cluster.add("Secret", "tls", HERE)
    assert [finding.state for finding in ask(check_ingress, ingress)] == ["ok", "ok"]


def test_a_route_without_its_gateway_is_told(cluster: StandInCluster, ask: Ask) -> None:
    route: dict[str, Any] = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "rag"}}
    route["spec"] = {"parentRefs": [{"name": "gateway", "namespace": "ingress"}]}
    assert [finding.said for finding in ask(check_gateway, route)] == ["is not there in ingress"]
    cluster.answers["/apis/gateway.networking.k8s.io/v1/namespaces/ingress/gateways/gateway"] = 200, {}
    assert ask(check_gateway, route)[0].state == "ok"


def test_a_runtime_class_that_pods_name_has_to_be_there(cluster: StandInCluster, ask: Ask) -> None:
    on_gpus = deployment()
    assert ask(check_runtime_classes, on_gpus) == []
    on_gpus["spec"]["template"]["spec"]["runtimeClassName"] = "nvidia"
    assert ask(check_runtime_classes, on_gpus)[0].state == "broken"
    cluster.answers["/apis/node.k8s.io/v1/runtimeclasses/nvidia"] = 200, {}
    assert ask(check_runtime_classes, on_gpus)[0].state == "ok"


def test_what_scales_has_to_be_there(cluster: StandInCluster, ask: Ask) -> None:
    by_keda = service(annotations={"serving.kserve.io/autoscalerClass": "keda"})
    metrics, keda = ask(check_autoscaling, HPA, by_keda)
    assert (metrics.state, keda.state) == ("warning", "broken")
    cluster.answers |= {"/apis/metrics.k8s.io": (200, {}), "/apis/keda.sh": (200, {})}
    assert [finding.state for finding in ask(check_autoscaling, HPA, by_keda)] == ["ok", "ok"]


def test_knatives_flags_are_looked_at_where_it_scales(cluster: StandInCluster, ask: Ask) -> None:
    by_knative = service(annotations={"serving.kserve.io/deploymentMode": "Knative"})
    allowed = {"kubernetes.podspec-nodeselector": "enabled"}
    cluster.add("ConfigMap", "config-features", "knative-serving", data=allowed)
    (off,) = ask(check_autoscaling, by_knative)
    assert off.said.startswith("does not allow kubernetes.podspec-tolerations,")
    allowed["kubernetes.podspec-tolerations"] = "enabled"
    assert ask(check_autoscaling, by_knative)[0].state == "ok"


def test_a_model_cache_that_is_off_is_told(cluster: StandInCluster, ask: Ask, settings: Settings) -> None:
    cache = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "LocalModelCache", "metadata": {"name": "llama"}}
    cluster.add("ConfigMap", "inferenceservice-config", "kserve", data={"localModel": '{"enabled": false}'})
    off, group = ask(check_model_cache, cache)
    assert off.said == "KServe's local models are off: every pod would download its model"
    assert group.said == "there is no LocalModelNodeGroup gpu"
    cluster.named("ConfigMap", "inferenceservice-config", "kserve")["data"]["localModel"] = '{"enabled": true}'
    assert ask(check_model_cache, cache)[0].state == "ok"
