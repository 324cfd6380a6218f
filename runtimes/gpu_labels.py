"""What labels the nodes whose GPUs are sliced, and the right that it needs: to change its own node, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from runtimes.training_runtime import GPU

if TYPE_CHECKING:
    from kubernetes.client import V1Container, V1DaemonSet, V1ObjectMeta, V1PodSpec

LABELLER = "gpu-labels"
RBAC = "rbac.authorization.k8s.io"
NODE_OF_THE_TOKEN = "authentication.kubernetes.io/node-name"
"""Kubernetes notes in a pod's token on which node the pod runs (1.30 and later)."""


def labeller(settings: Settings) -> list[Any]:
    """Return the DaemonSet, its account and its rights."""
    from kubernetes import client

    name = f"{settings.cluster.namespace}-{LABELLER}"
    whole_cluster = client.V1ObjectMeta(name=name, labels={"app.kubernetes.io/name": LABELLER})
    account = client.RbacV1Subject(kind="ServiceAccount", name=LABELLER, namespace=settings.cluster.namespace)
    rule = client.V1PolicyRule(api_groups=[""], resources=["nodes"], verbs=["get", "patch"])
    return [
        client.V1ServiceAccount(
            api_version="v1", kind="ServiceAccount", metadata=_metadata(settings), automount_service_account_token=False
        ),
        client.V1ClusterRole(api_version=f"{RBAC}/v1", kind="ClusterRole", metadata=whole_cluster, rules=[rule]),
        client.V1ClusterRoleBinding(
            api_version=f"{RBAC}/v1",
            kind="ClusterRoleBinding",
            metadata=whole_cluster,
            role_ref=client.V1RoleRef(api_group=RBAC, kind="ClusterRole", name=name),
            subjects=[account],
        ),
        *_its_own_node_only(settings, whole_cluster),
        _daemon_set(settings),
    ]


def _its_own_node_only(settings: Settings, metadata: V1ObjectMeta) -> list[Any]:
    """A role cannot say "its own node"; a policy on what is admitted can."""
    from kubernetes import client

    api = "admissionregistration.k8s.io"
    user = f"system:serviceaccount:{settings.cluster.namespace}:{LABELLER}"
    own = f"request.userInfo.extra[?'{NODE_OF_THE_TOKEN}'].orValue(['']).exists(node, node == object.metadata.name)"
    nodes = client.V1NamedRuleWithOperations(
        api_groups=[""], api_versions=["v1"], operations=["UPDATE"], resources=["nodes"], scope="*"
    )
    return [
        client.V1ValidatingAdmissionPolicy(
            api_version=f"{api}/v1",
            kind="ValidatingAdmissionPolicy",
            metadata=metadata,
            spec=client.V1ValidatingAdmissionPolicySpec(
                failure_policy="Fail",
                match_constraints=client.V1MatchResources(resource_rules=[nodes]),
                match_conditions=[client.V1MatchCondition(name="labeller", expression=f"request.userInfo.username == '{user}'")],
                validations=[
                    client.V1Validation(expression=own, message=f"{LABELLER} changes the node that it runs on, and no other"),
                    client.V1Validation(
                        expression="object.spec == oldObject.spec",
                        message=f"{LABELLER} changes labels of a node, and nothing else",
                    ),
                ],
            ),
        ),
        client.V1ValidatingAdmissionPolicyBinding(
            api_version=f"{api}/v1",
            kind="ValidatingAdmissionPolicyBinding",
            metadata=metadata,
            spec=client.V1ValidatingAdmissionPolicyBindingSpec(policy_name=metadata.name, validation_actions=["Deny"]),
        ),
    ]


def _daemon_set(settings: Settings) -> V1DaemonSet:
    from kubernetes import client

    labels = {"app.kubernetes.io/name": LABELLER, "app.kubernetes.io/part-of": "code-assistant"}
    return client.V1DaemonSet(
        api_version="apps/v1",
        kind="DaemonSet",
        metadata=_metadata(settings),
        spec=client.V1DaemonSetSpec(
            selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=_pod(settings)),
        ),
    )


def _pod(settings: Settings) -> V1PodSpec:
    from kubernetes import client

    user = settings.inference_services.user
    return client.V1PodSpec(
        containers=[_container(settings)],
        node_selector=dict(settings.cluster.gpu.node_selector),
        tolerations=[client.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],
        service_account_name=LABELLER,
        automount_service_account_token=True,
        enable_service_links=False,
        security_context=client.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=user,
            run_as_group=user,
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )


def _container(settings: Settings) -> V1Container:
    from kubernetes import client

    own_node = client.V1EnvVarSource(field_ref=client.V1ObjectFieldSelector(field_path="spec.nodeName"))
    taken = {"memory": "256Mi"}
    return client.V1Container(
        name="labeller",
        image=settings.cluster.image(settings.pipeline.image),
        command=["python", "-m", "runtimes.label_gpu_node", str(settings.training.gpu_slices)],
        args=[f"{name}={value}" for name, value in settings.training.node_selector.items()],
        env=[client.V1EnvVar(name="NODE_NAME", value_from=own_node)],
        resources=client.V1ResourceRequirements(requests={"cpu": "10m", **taken}, limits={"cpu": "500m", **taken}),
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
    )


def _metadata(settings: Settings) -> V1ObjectMeta:
    from kubernetes import client

    return client.V1ObjectMeta(name=LABELLER, namespace=settings.cluster.namespace, labels={"app.kubernetes.io/name": LABELLER})
