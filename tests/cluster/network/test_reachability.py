"""Who reaches whom: the policies that are applied, asked pair by pair."""

from __future__ import annotations

from typing import Any

import pytest

from cia.errors import SettingsError
from tests.cluster.network.reachability import Pod, reaches, selects
from tests.cluster.rendered import objects_of, pods_of

OURS = {"app.kubernetes.io/part-of": "code-assistant"}
STEP = {**OURS, "pipelines.kubeflow.org/v2_component": "true"}

ALLOWED: dict[str, dict[str, set[int]]] = {
    "rag-server": {
        "code-assistant": {8080},
        "embeddings": {8080},
        "qdrant": {6333},
        "mlflow": {5000},
        "langfuse-web": {3000},
        "rag-server-postgres": {5432},
        "rag-server-redis": {6379},
    },
    "train-step": {"embeddings": {8080}, "qdrant": {6333}, "mlflow": {5000}, "langfuse-web": {3000}},
    "fetch-corpus": {"embeddings": {8080}, "qdrant": {6333}, "mlflow": {5000}, "langfuse-web": {3000}},
    "refresh-serving": {
        "rag-server": {8080},
        "embeddings": {8080},
        "qdrant": {6333},
        "mlflow": {5000},
        "langfuse-web": {3000},
    },
    "index": {"qdrant": {6333}, "embeddings": {8080}},
    "training": {"mlflow": {5000}},
    "code-assistant": {"mlflow": {5000}},
    "qdrant": {"qdrant": {6335}},
    "qdrant-snapshot": {"qdrant": {6333}},
    "mlflow": {"mlflow-postgres": {5432}, "mlflow-object-store": {8333}},
    "langfuse-web": {
        "langfuse-postgres": {5432},
        "langfuse-clickhouse": {8123, 9000},
        "langfuse-redis": {6379},
        "langfuse-object-store": {8333},
    },
    "langfuse-worker": {
        "langfuse-postgres": {5432},
        "langfuse-clickhouse": {8123, 9000},
        "langfuse-redis": {6379},
        "langfuse-object-store": {8333},
    },
}
"""Of the platform's pods, all that may connect, and to which ports."""

INTERNET = Pod("internet", namespace="nowhere", address="203.0.113.7")
API = Pod("kubernetes", namespace="nowhere", address="10.0.0.2")
STRANGER = Pod("stranger", labels={"app": "somebody-elses"})
EVERYTHING = {"CLUSTER__MLFLOW__ARTIFACTS": "s3", "CLUSTER__QDRANT__REPLICAS": "3", "CLUSTER__MONITORING__GPU_EXPORTER": "true"}


def policies(**variables: str) -> list[dict[str, Any]]:
    return [built for built in objects_of(**variables) if built["kind"] == "NetworkPolicy"]


def workloads(**variables: str) -> dict[str, Pod]:
    """Every kind of pod of the platform in its namespace, and the steps of the pipeline."""
    found = {
        "train-step": Pod("train-step", labels={**STEP, "app.kubernetes.io/name": "fine-tune-llm"}),
        "refresh-serving": Pod("refresh-serving", labels={**STEP, "app.kubernetes.io/name": "refresh-serving"}),
        "fetch-corpus": Pod(
            "fetch-corpus",
            labels={**STEP, "app.kubernetes.io/name": "fetch-corpus", "code-assistant/reaches": "outside"},
        ),
    }
    for rendered in pods_of(objects_of(**variables)):
        if rendered.namespace == "code-assistant":
            ports = {port["name"]: port["containerPort"] for one in rendered.containers for port in one.get("ports", [])}
            name = rendered.labels["app.kubernetes.io/name"]
            found[name] = Pod(name, labels=rendered.labels, ports=ports)
    return found


@pytest.fixture(scope="module")
def everything() -> dict[str, Pod]:
    return workloads(**EVERYTHING)


@pytest.fixture(scope="module")
def applied() -> list[dict[str, Any]]:
    return policies(**EVERYTHING)


def test_every_pod_reaches_what_it_needs_and_no_other(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    assert set(ALLOWED) | {name for reached in ALLOWED.values() for name in reached} <= set(everything)
    wrong = []
    for source in everything.values():
        for target in everything.values():
            for port in target.ports.values():
                expected = port in ALLOWED.get(source.name, {}).get(target.name, set())
                if reaches(applied, source, target, port) != expected:
                    wrong.append(f"{source.name} -> {target.name}:{port} is {'denied' if expected else 'allowed'}")
    assert wrong == []


def test_every_port_that_is_opened_is_one_that_is_listened_on(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    for policy in applied:
        opened = {port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]}
        chosen = [pod for pod in everything.values() if selects(policy["spec"]["podSelector"], pod.labels)]
        assert chosen or not opened or policy["metadata"]["name"] == "qdrant-restore", policy["metadata"]["name"]
        listened = {port for pod in chosen for named in pod.ports.items() for port in named}
        assert opened <= listened, (policy["metadata"]["name"], opened - listened)


def test_nothing_leaves_the_cluster(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    assert [pod.name for pod in everything.values() if reaches(applied, pod, INTERNET, 443)] == []


def test_only_what_fetches_leaves_the_cluster_and_only_for_the_addresses_that_are_set(everything: dict[str, Pod]) -> None:
    applied = policies(**EVERYTHING, CLUSTER__OUTSIDE="[203.0.113.0/24]")
    leaving = {pod.name for pod in everything.values() if reaches(applied, pod, INTERNET, 443)}
    assert leaving == {"fetch-corpus", "index", "model-weights", "base-model"}
    elsewhere = Pod("elsewhere", namespace="nowhere", address="198.51.100.9")
    assert not any(reaches(applied, pod, elsewhere, 443) for pod in everything.values())


def test_everywhere_outside_is_not_inside(everything: dict[str, Pod]) -> None:
    applied = policies(CLUSTER__OUTSIDE="['0.0.0.0/0', '::/0']")
    fetching = everything["fetch-corpus"]
    assert reaches(applied, fetching, INTERNET, 443)
    for inside in ("10.3.4.5", "169.254.169.254", "192.168.1.1"):
        assert not reaches(applied, fetching, Pod("inside", namespace="nowhere", address=inside), 80)
    wide = next(policy for policy in applied if policy["metadata"]["name"] == "reaches-outside")
    blocks = {peer["ipBlock"]["cidr"]: peer["ipBlock"]["except"] for peer in wide["spec"]["egress"][0]["to"]}
    assert blocks["::/0"] == ["fc00::/7"]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cluster\.outside has 'example\.com', which is no address range"):
        policies(CLUSTER__OUTSIDE="[example.com]")


def test_only_steps_and_what_labels_nodes_call_the_kubernetes_api(
    everything: dict[str, Pod], applied: list[dict[str, Any]]
) -> None:
    calling = {pod.name for pod in everything.values() if reaches(applied, pod, API, 6443)}
    assert calling == {"train-step", "refresh-serving", "fetch-corpus", "gpu-labels"}
    narrow = policies(CLUSTER__NETWORK__API_SERVER="[10.9.9.9/32]")
    assert not reaches(narrow, everything["train-step"], API, 6443)
    elsewhere = policies(CLUSTER__NETWORK__API_SERVER_PORTS="[16443]")
    assert reaches(elsewhere, everything["train-step"], API, 16443)
    assert not reaches(elsewhere, everything["train-step"], API, 6443)


def test_every_pod_may_ask_the_clusters_dns_and_nothing_else_there(
    everything: dict[str, Pod], applied: list[dict[str, Any]]
) -> None:
    dns = Pod("dns", namespace="kube-system", labels={"k8s-app": "kube-dns"})
    for pod in everything.values():
        assert reaches(applied, pod, dns, 53, "UDP")
        assert reaches(applied, pod, dns, 53)
        assert not reaches(applied, pod, dns, 9153)
        assert not reaches(applied, pod, Pod("other", namespace="kube-system"), 53, "UDP")


def test_steps_and_no_others_reach_kubeflow_pipelines(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    pipelines = Pod("ml-pipeline", namespace="kubeflow")
    reaching = {pod.name for pod in everything.values() if reaches(applied, pod, pipelines, 8888)}
    assert reaching == {"train-step", "refresh-serving", "fetch-corpus"}


def test_people_reach_the_server_by_the_ingress_and_nothing_behind_it(
    everything: dict[str, Pod], applied: list[dict[str, Any]]
) -> None:
    ingress = Pod("controller", namespace="ingress-nginx")
    asked = {pod.name for pod in everything.values() for port in pod.ports.values() if reaches(applied, ingress, pod, port)}
    assert asked == {"rag-server"}
    shown = policies(CLUSTER__MLFLOW__HOSTS="[mlflow.example.com]", CLUSTER__LANGFUSE__URL="https://langfuse.example.com")
    asked = {pod.name for pod in everything.values() for port in pod.ports.values() if reaches(shown, ingress, pod, port)}
    assert asked == {"rag-server", "mlflow", "langfuse-web"}
    hidden = policies(CLUSTER__RAG_SERVER__EXPOSED_BY="nothing")
    assert not reaches(hidden, ingress, everything["rag-server"], 8080)


def test_prometheus_alone_reads_metrics(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    prometheus = Pod("prometheus", namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"})
    asked = {pod.name for pod in everything.values() for port in pod.ports.values() if reaches(applied, prometheus, pod, port)}
    assert asked == {"rag-server", "qdrant", "code-assistant", "embeddings", "gpu-exporter"}
    grafana = Pod("grafana", namespace="monitoring", labels={"app.kubernetes.io/name": "grafana"})
    assert not any(reaches(applied, grafana, pod, port) for pod in everything.values() for port in pod.ports.values())


def test_nobody_but_the_server_and_prometheus_reaches_the_model(
    everything: dict[str, Pod], applied: list[dict[str, Any]]
) -> None:
    model = everything["code-assistant"]
    assert [pod.name for pod in everything.values() if reaches(applied, pod, model, 8080)] == ["rag-server"]


def test_pods_of_others_in_the_same_namespace_are_kept_out_and_left_alone(
    everything: dict[str, Pod], applied: list[dict[str, Any]]
) -> None:
    assert not any(reaches(applied, STRANGER, pod, port) for pod in everything.values() for port in pod.ports.values())
    assert reaches(applied, STRANGER, INTERNET, 443)
    assert reaches(applied, STRANGER, Pod("another", labels={"app": "x"}), 80)


def test_a_neighbour_is_called_by_steps_and_the_server(everything: dict[str, Pod], applied: list[dict[str, Any]]) -> None:
    judge = Pod("judge", namespace="judges")
    assert not any(reaches(applied, pod, judge, 8000) for pod in everything.values())
    applied = policies(CLUSTER__NETWORK__NEIGHBOURS="[judges]")
    calling = {pod.name for pod in everything.values() if reaches(applied, pod, judge, 8000)}
    assert calling == {"rag-server", "train-step", "refresh-serving", "fetch-corpus"}


def test_knative_reaches_the_service_that_it_scales() -> None:
    variables = {
        "INFERENCE_SERVICES__DEPLOYED": "[autoscale-probe]",
        "INFERENCE_SERVICES__AUTOSCALE_PROBE__MODE": "Knative",
    }
    probe = workloads(**variables)["autoscale-probe"]
    activator = Pod("activator", namespace="knative-serving")
    assert reaches(policies(**variables), activator, probe, 8012)
    assert not reaches(policies(INFERENCE_SERVICES__DEPLOYED="[autoscale-probe]"), activator, probe, 8012)
