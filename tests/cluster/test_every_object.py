"""Every object of the platform, under several settings, against what Kubernetes and the projects behind the kinds take."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from kubernetes import client

from cluster.secret_keys import SECRET_KEYS
from runtimes.gpu_sharing import PLUGIN, SOCKETS
from tests.cluster.rendered import Object, RenderedPod, objects_of, pods_of
from tests.published_schemas import refused_by

VARIANTS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "all there is": {
        "INFERENCE_SERVICES__DEPLOYED": "[code-assistant, embeddings, autoscale-probe]",
        "CLUSTER__MLFLOW__ARTIFACTS": "s3",
        "CLUSTER__QDRANT__REPLICAS": "3",
        "CLUSTER__OUTSIDE": "['0.0.0.0/0']",
        "CLUSTER__NETWORK__NEIGHBOURS": "[judges]",
        "CLUSTER__MONITORING__GPU_EXPORTER": "true",
        "CLUSTER__MONITORING__ALERT_WEBHOOK": "alert-webhook-url",
        "CLUSTER__GPU__RUNTIME_CLASS": "nvidia",
        "CLUSTER__IMAGE_REGISTRY": "mirror.example:5000/team",
        "CLUSTER__GIT_SERVER": "https://git.example.com",
        "CLUSTER__STORAGE_CLASS": "fast",
        "CLUSTER__SHARED_STORAGE_CLASS": "shared",
        "TRAINING__GPU_SLICES": "4",
    },
    "in another's namespace": {
        "CLUSTER__NAMESPACE": "kubeflow",
        "CLUSTER__OWN_NAMESPACE": "false",
        "CLUSTER__GPU__DEVICE_PLUGIN": "false",
        "CLUSTER__GPU__LABEL_NODES": "false",
        "CLUSTER__RAG_SERVER__EXPOSED_BY": "gateway",
        "INFERENCE_SERVICES__WEIGHTS__SOURCE": "cache",
    },
    "the least": {
        "INFERENCE_SERVICES__DEPLOYED": "[]",
        "CLUSTER__RAG_SERVER__EXPOSED_BY": "nothing",
        "CLUSTER__INDEX__SCHEDULE": "null",
        "CLUSTER__MONITORING__DEPLOYED": "[]",
        "TRAINING__BASE_MODEL": "local",
    },
}

DEFINED_BY = {
    "trainer.kubeflow.org": "TRAINER_CRDS",
    "serving.kserve.io": "KSERVE_CRDS",
    "monitoring.coreos.com": "OPERATOR_CRDS",
}
ONLY_BEHIND_A_SETTING = {"HTTPRoute", "AlertmanagerConfig"}
"""Kinds of projects that the platform does without as it comes; their schemas are not among the published ones."""

AS_ROOT = {PLUGIN}
ON_THE_NODE = {(PLUGIN, SOCKETS)}
WITH_A_TOKEN = {"gpu-labels"}
NOT_PROBED = {PLUGIN, "gpu-labels"}
"""Loops that answer nobody, and end when they cannot go on."""

RENDER = """
import json
from cia.settings import load_settings
from cluster.platform import platform
print(json.dumps([built for _, objects in platform(load_settings("cluster", {})) for built in objects]), end="")
"""


@pytest.fixture(scope="module", params=VARIANTS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return objects_of(**VARIANTS[request.param])


@pytest.fixture(scope="module")
def pods(objects: list[Object]) -> list[RenderedPod]:
    return pods_of(objects)


def group(built: Object) -> str:
    return built["apiVersion"].rpartition("/")[0]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [built for built in objects if built["kind"] in kinds]


def is_kubernetes_own(built: Object) -> bool:
    return "." not in group(built) or (group(built).endswith(".k8s.io") and group(built) != "gateway.networking.k8s.io")


def variables_of(pods: list[RenderedPod]) -> list[tuple[str, dict[str, Any]]]:
    return [(pod.name, variable) for pod in pods for one in pod.containers for variable in one.get("env", [])]


def test_kubernetes_own_models_know_every_field(objects: list[Object]) -> None:
    api = client.ApiClient()

    class Reply:
        def __init__(self, built: Object) -> None:
            self.data = json.dumps(built)

    own = [built for built in objects if is_kubernetes_own(built)]
    assert own
    for built in own:
        version = built["apiVersion"].rpartition("/")[2]
        model = f"{version[0].upper()}{version[1:]}{built['kind']}"
        # What a model does not know it drops, and what is of another type it cannot read.
        assert api.sanitize_for_serialization(api.deserialize(Reply(built), model)) == built


def test_published_definitions_and_their_rules_take_every_other_object(objects: list[Object]) -> None:
    others = [built for built in objects if not is_kubernetes_own(built) and built["kind"] not in ONLY_BEHIND_A_SETTING]
    for built in others:
        file = f"{group(built)}_{built['kind'].lower()}s.yaml"
        assert refused_by(DEFINED_BY[group(built)], file, built) == [], (built["kind"], built["metadata"]["name"])


def test_kinds_that_not_every_cluster_has_are_behind_a_setting() -> None:
    assert not ONLY_BEHIND_A_SETTING & {built["kind"] for built in objects_of()}


def test_no_name_is_used_twice_for_a_kind(objects: list[Object]) -> None:
    names = [(group(built), built["kind"], built["metadata"].get("namespace"), built["metadata"]["name"]) for built in objects]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name[-1]) for name in names)


def test_what_belongs_to_a_namespace_says_which(objects: list[Object], request: pytest.FixtureRequest) -> None:
    of_the_cluster = {
        "Namespace", "ClusterRole", "ClusterRoleBinding", "ClusterTrainingRuntime", "LocalModelCache",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    variant = VARIANTS[request.node.callspec.params["objects"]]
    ours = {variant.get("CLUSTER__NAMESPACE", "code-assistant"), "kube-system"}
    for built in objects:
        namespace = built["metadata"].get("namespace")
        assert (namespace is None) if built["kind"] in of_the_cluster else namespace in ours, built["metadata"]["name"]


def test_no_object_holds_a_secret(objects: list[Object], pods: list[RenderedPod]) -> None:
    assert of_kind(objects, "Secret") == []
    for name, variable in variables_of(pods):
        secret = re.search(r"(?<!PUBLIC_)(KEY|TOKEN|PASSWORD|SECRET|SALT)(_ID)?$", variable["name"])
        assert not secret or "valueFrom" in variable or "$(" in variable["value"], (name, variable)
        assert not re.search(r"://[^/\s]*:[^$/\s][^/\s]*@", variable.get("value", "")), (name, variable["name"])


def test_every_key_that_a_pod_takes_is_one_of_the_secret(pods: list[RenderedPod]) -> None:
    known = {key.key: key for key in SECRET_KEYS}
    for name, variable in variables_of(pods):
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference:
            key = known.get(reference["key"])
            assert key is not None, (name, reference["key"])
            assert key.generated or reference.get("optional"), f"{name} does not start without {key.key}, which nobody makes"


def test_every_variable_that_is_made_of_others_stands_after_them(pods: list[RenderedPod]) -> None:
    for pod in pods:
        for one in pod.containers:
            seen: set[str] = set()
            for variable in one.get("env", []):
                assert set(re.findall(r"(?<!\$)\$\((\w+)\)", variable.get("value", ""))) <= seen, (pod.name, variable)
                seen.add(variable["name"])
            assert len(seen) == len(one.get("env", [])), f"{pod.name} sets a variable twice"


def test_every_container_keeps_to_the_restricted_standard_on_a_read_only_root(pods: list[RenderedPod]) -> None:
    for pod in pods:
        of_pod = pod.spec.get("securityContext", {})
        for one in pod.containers:
            own = one["securityContext"]
            assert own["readOnlyRootFilesystem"] is True, pod.name
            assert own["allowPrivilegeEscalation"] is False, pod.name
            assert own["capabilities"] == {"drop": ["ALL"]}, pod.name
            assert own.get("seccompProfile", of_pod.get("seccompProfile")) == {"type": "RuntimeDefault"}, pod.name
            assert "privileged" not in own
            if pod.name not in AS_ROOT:
                assert own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True, pod.name
                assert own.get("runAsUser", of_pod.get("runAsUser")) > 0, pod.name
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod.spec), pod.name


def test_nothing_of_a_node_is_mounted_but_the_folder_of_device_plugins(pods: list[RenderedPod]) -> None:
    mounted = {
        (pod.name, volume["hostPath"]["path"]) for pod in pods for volume in pod.spec.get("volumes", []) if "hostPath" in volume
    }
    assert mounted <= ON_THE_NODE


def test_every_pod_has_an_account_that_is_made_and_a_token_only_where_it_calls_the_api(
    objects: list[Object], pods: list[RenderedPod]
) -> None:
    accounts = {built["metadata"]["name"] for built in of_kind(objects, "ServiceAccount")}
    for pod in pods:
        assert pod.spec["automountServiceAccountToken"] is (pod.name in WITH_A_TOKEN), pod.name
        assert pod.spec["enableServiceLinks"] is False, pod.name
        assert pod.spec["serviceAccountName"] in accounts, pod.name
    shared = {pod.spec["serviceAccountName"] for pod in pods if pod.kind != "InferenceService"}
    assert len(shared) == len({pod.labels["app.kubernetes.io/name"] for pod in pods if pod.kind != "InferenceService"})
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert {subject["name"] for subject in binding["subjects"]} <= accounts
        role = {(built["kind"], built["metadata"]["name"]) for built in of_kind(objects, "Role", "ClusterRole")}
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in role


def test_no_role_allows_everything(objects: list[Object]) -> None:
    for role in of_kind(objects, "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert "secrets" not in rule["resources"] or rule.get("resourceNames")


def test_every_container_asks_for_cpu_and_memory_and_is_limited(pods: list[RenderedPod]) -> None:
    for pod in pods:
        for one in pod.containers:
            resources = one["resources"]
            for side in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(resources[side]), (pod.name, side)
            assert resources["requests"]["memory"] == resources["limits"]["memory"], pod.name
        for volume in pod.spec.get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"].get("sizeLimit"), (pod.name, volume["name"])


def test_every_image_is_pinned_and_comes_from_the_mirror(pods: list[RenderedPod], request: pytest.FixtureRequest) -> None:
    mirror = VARIANTS[request.node.callspec.params["objects"]].get("CLUSTER__IMAGE_REGISTRY", "")
    for pod in pods:
        for image in (one["image"] for one in pod.containers):
            tag = image.rpartition("/")[2].partition(":")[2]
            assert "@sha256:" in image or re.match(r"v?\d", tag), image
            assert image.startswith(mirror), image
            assert mirror or "." not in image.partition("/")[0] or "/" not in image, f"{image} names a registry"


def test_what_runs_all_the_time_is_probed(pods: list[RenderedPod]) -> None:
    for pod in pods:
        if pod.kind in ("Deployment", "StatefulSet", "DaemonSet", "InferenceService") and pod.name not in NOT_PROBED:
            for one in pod.spec["containers"]:
                assert {"readinessProbe", "livenessProbe"} <= set(one), pod.name
                named = {port["name"] for port in one.get("ports", [])} | {port["containerPort"] for port in one.get("ports", [])}
                for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                    asked = one.get(kind, {}).get("httpGet", {}).get("port")
                    assert asked is None or asked in named, (pod.name, kind)


def test_every_pod_of_ours_carries_the_labels_that_policies_select_by(pods: list[RenderedPod]) -> None:
    for pod in pods:
        assert pod.labels.get("app.kubernetes.io/name"), pod.name
        assert pod.namespace == "kube-system" or pod.labels.get("app.kubernetes.io/part-of") == "code-assistant", pod.name


def test_controllers_services_and_budgets_select_pods_that_there_are(objects: list[Object], pods: list[RenderedPod]) -> None:
    def chosen(labels: dict[str, str]) -> list[RenderedPod]:
        return [pod for pod in pods if labels.items() <= pod.labels.items()]

    for built in of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "PodDisruptionBudget"):
        labels = built["spec"]["selector"]["matchLabels"]
        own = [pod for pod in chosen(labels) if pod.name == built["metadata"]["name"]]
        is_kserves = "serving.kserve.io/inferenceservice" in labels
        assert own or (is_kserves and labels["serving.kserve.io/inferenceservice"] in {pod.name for pod in pods})
    for service in of_kind(objects, "Service"):
        (pod,) = chosen(service["spec"]["selector"])
        ports = {port["name"] for one in pod.containers for port in one.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, service["metadata"]["name"]


def test_what_is_scaled_is_there_and_has_no_number_of_its_own(objects: list[Object]) -> None:
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        (scaled,) = [one for one in of_kind(objects, target["kind"]) if one["metadata"]["name"] == target["name"]]
        assert "replicas" not in scaled["spec"]  # or each apply would undo what the autoscaler did


def test_every_volume_is_mounted_and_what_it_is_made_of_is_there(objects: list[Object], pods: list[RenderedPod]) -> None:
    claims, maps = (
        {built["metadata"]["name"] for built in of_kind(objects, kind)} for kind in ("PersistentVolumeClaim", "ConfigMap")
    )
    templates = {
        built["metadata"]["name"]: {claim["metadata"]["name"] for claim in built["spec"].get("volumeClaimTemplates", [])}
        for built in of_kind(objects, "StatefulSet")
    }
    for pod in pods:
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        mounts = [(mount["name"], mount["mountPath"]) for one in pod.containers for mount in one.get("volumeMounts", [])]
        own = templates.get(pod.name, set()) if pod.kind == "StatefulSet" else set()
        assert {name for name, _ in mounts} == set(volumes) | own, pod.name
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in claims | {None}, pod.name
            assert volume.get("configMap", {}).get("name") in maps | {None}, pod.name


def test_no_config_map_is_larger_than_the_server_takes(objects: list[Object]) -> None:
    for built in of_kind(objects, "ConfigMap"):
        assert sum(map(len, built["data"].values())) < 1024 * 1024


def test_the_same_settings_give_the_same_bytes_in_another_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    rendered = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, text=True, check=True, env=environment)
    assert rendered.stdout == json.dumps(objects_of())
