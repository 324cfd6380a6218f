"""GPU nodes, and how their slices are divided."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.doctor.applied import check_applied
from cluster.doctor.gpu_budget import check_gpu_budget
from cluster.doctor.gpu_nodes import check_gpu_nodes
from cluster.doctor.pauses import check_pauses
from inference_services.object_metadata import LABELS as OURS
from tests.cluster.doctor.conftest import Ask
from tests.cluster.stand_in_cluster import StandInCluster

GPU = "nvidia.com/gpu"
LABELS = {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.sharing-strategy": "time-slicing", "nvidia.com/gpu.count": "1"}
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
RUNTIME = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "ClusterTrainingRuntime", "metadata": {"name": "qlora"}}


def service(name: str, slices: int, replicas: int = 1) -> dict[str, Any]:
    container = {"name": "main", "resources": {"limits": {GPU: str(slices)}}}
    tolerations = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    predictor = {"containers": [container], "minReplicas": replicas, "tolerations": tolerations}
    metadata = {"name": name, "namespace": "code-assistant"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": predictor},
    }


def node(cluster: StandInCluster, name: str = "gpu-0", offered: int = 5, labels: dict[str, str] = LABELS, **spec: Any) -> None:
    status = {"allocatable": {GPU: str(offered)}, "conditions": [{"type": "Ready", "status": spec.pop("ready", "True")}]}
    cluster.add("Node", name, labels=dict(labels), spec={"taints": [TAINT], **spec}, status=status)


def test_a_sliced_gpu_that_our_pods_may_use_is_fine(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster)
    assert [(finding.state, finding.said) for finding in ask(check_gpu_nodes, service("llm", 5))] == [
        ("ok", "offers 5 of nvidia.com/gpu"),
        ("ok", "1 GPU as 5"),
    ]


def test_nothing_is_said_about_gpus_that_nobody_asks_for(ask: Ask) -> None:
    assert ask(check_gpu_nodes) == ask(check_gpu_budget) == []


def test_a_cluster_without_gpus_is_told(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Node", "cpu-0", labels={}, status={"allocatable": {"cpu": "8"}})
    (none,) = ask(check_gpu_nodes, RUNTIME)
    assert none.state == "broken"
    assert "kubectl label node NAME nvidia.com/gpu.present=true" in none.fix


@pytest.mark.parametrize(
    ("wrong", "said", "fix"),
    [
        ({"labels": {"nvidia.com/gpu.present": "true"}}, "lacks the label nvidia.com/gpu.sharing-strategy=time-slicing",
         "kubectl label node gpu-0 nvidia.com/gpu.sharing-strategy=time-slicing"),
        ({"offered": 0}, "offers no nvidia.com/gpu", "cia cluster apply --only runtimes"),
        ({"taints": [{"key": "team", "value": "a", "effect": "NoExecute"}]}, "has the taint team=a:NoExecute",
         "kubectl taint node gpu-0 team=a:NoExecute-"),
        ({"unschedulable": True}, "takes no new pods", "kubectl uncordon gpu-0"),
        ({"ready": "Unknown"}, "is not ready", "kubectl describe node gpu-0"),
    ],
)  # fmt: skip
def test_what_keeps_our_pods_from_a_node_comes_with_the_command_that_mends_it(
    cluster: StandInCluster, ask: Ask, wrong: dict[str, Any], said: str, fix: str
) -> None:
    node(cluster, **wrong)
    first = ask(check_gpu_nodes, service("llm", 5))[0]
    assert first.state == "broken"
    assert first.said.startswith(said)
    assert fix in first.fix


def test_a_gpu_that_is_not_sliced_as_the_settings_say_is_told(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster, offered=1)
    assert "shows 1 GPU as 1, not as 5" in ask(check_gpu_nodes, service("llm", 5))[1].said
    node(cluster, labels={key: value for key, value in LABELS.items() if key != "nvidia.com/gpu.count"})
    assert ask(check_gpu_nodes, service("llm", 5))[1].state == "warning"


def test_slices_that_an_apply_would_still_bring_are_no_more_than_a_warning(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster, offered=0)
    plugin = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "plugin", "namespace": "kube-system"}}
    plugin["spec"] = {"template": {"spec": {"containers": []}}}  # type: ignore[assignment]
    assert ask(check_gpu_nodes, service("llm", 5), plugin)[0].state == "warning"
    cluster.add("DaemonSet", "plugin", "kube-system")
    assert ask(check_gpu_nodes, service("llm", 5), plugin)[0].state == "broken"


def test_who_goes_without_a_slice_is_named(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster)
    (serving,) = ask(check_gpu_budget, service("code-assistant", 5), service("embeddings", 1))
    assert (serving.state, serving.said) == (
        "broken",
        "code-assistant 5, embeddings 1 of 5 free for us on gpu-0: no place for embeddings",
    )
    node(cluster, "gpu-1")
    assert [finding.state for finding in ask(check_gpu_budget, service("code-assistant", 5), service("embeddings", 1))] == ["ok"]


def test_slices_of_two_nodes_do_not_add_up_for_one_pod(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster, "gpu-0", offered=3)
    node(cluster, "gpu-1", offered=3)
    assert ask(check_gpu_budget, service("code-assistant", 5))[0].state == "broken"


def test_a_training_takes_the_place_of_the_main_model_but_of_no_other(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster)
    serving, training = ask(check_gpu_budget, RUNTIME, service("code-assistant", 5))
    assert serving.state == "ok"
    assert training.said == "a TrainJob of 5 takes the place of code-assistant, which quotes meanwhile"
    (_, training) = ask(check_gpu_budget, RUNTIME, service("embeddings", 1))
    assert (training.state, training.said) == ("broken", "a TrainJob of 5 would wait for good: embeddings 1 of 5 stay taken")
    node(cluster, "gpu-1")
    assert "finds a place" in ask(check_gpu_budget, RUNTIME, service("embeddings", 1))[1].said


def test_parts_that_are_not_selected_take_their_slices_too(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster)
    assert "embeddings 1 of 5" in ask(check_gpu_budget, RUNTIME, others=[service("embeddings", 1)])[0].said


def test_a_model_that_is_still_paused_for_a_training_that_has_ended_is_told(cluster: StandInCluster, ask: Ask) -> None:
    stopped = {"serving.kserve.io/stop": "true"}
    cluster.add("InferenceService", "code-assistant", "code-assistant", annotations=stopped, labels=OURS)
    assert ask(check_pauses, service("code-assistant", 5))[0].said.endswith("which somebody has set")
    stopped["code-assistant/paused-by"] = "tune-1"
    cluster.add("TrainJob", "tune-1", "code-assistant", status={"conditions": [{"type": "Complete", "status": "False"}]})
    assert ask(check_pauses, service("code-assistant", 5))[0].state == "ok"
    assert {finding.state for finding in ask(check_applied, service("code-assistant", 5))} == {"ok"}
    cluster.add("TrainJob", "tune-1", "code-assistant", status={"conditions": [{"type": "Failed", "status": "True"}]})
    (told,) = ask(check_pauses, service("code-assistant", 5))
    assert told.state == "broken"
    assert told.fix.endswith("code-assistant serving.kserve.io/stop- code-assistant/paused-by-")
    cluster.remove("TrainJob", "tune-1", "code-assistant")
    assert ask(check_pauses, service("code-assistant", 5))[0].state == "broken"


def test_slices_that_others_hold_are_not_ours(cluster: StandInCluster, ask: Ask) -> None:
    node(cluster)
    asking = {"nodeName": "gpu-0", "containers": [{"resources": {"limits": {GPU: "2"}}}]}
    cluster.add("Pod", "ours", "code-assistant", labels={"app.kubernetes.io/part-of": "code-assistant"}, spec=asking)
    cluster.add("Pod", "done", "other", spec=asking, status={"phase": "Succeeded"})
    assert ask(check_gpu_budget, service("code-assistant", 5))[0].state == "ok"
    cluster.add("Pod", "theirs", "other", spec=asking, status={"phase": "Running"})
    assert "of 3 free for us on gpu-0: no place for code-assistant" in ask(check_gpu_budget, service("code-assistant", 5))[0].said
