"""GPUs in time slices: NVIDIA's device plugin offers each as ``training.gpu_slices`` of ``nvidia.com/gpu``.

The plain name is kept, and a pod may ask for several slices, since a training asks for all of them
(https://github.com/NVIDIA/k8s-device-plugin#with-cuda-time-slicing).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml

from cia.settings import Settings
from runtimes.training_runtime import GPU

if TYPE_CHECKING:
    from kubernetes.client import V1ConfigMap, V1Container, V1DaemonSet, V1ObjectMeta, V1PodSpec

PLUGIN = "code-assistant-device-plugin"
SHARING = "code-assistant-gpu-sharing"
"""The ConfigMap. Where the GPU operator runs the plugin, its ClusterPolicy names it as ``devicePlugin.config``."""

FILE = "config.yaml"
SOCKETS = "/var/lib/kubelet/device-plugins"
"""Folder of the node in which the kubelet and device plugins find each other."""


def sharing_config(settings: Settings) -> V1ConfigMap:
    """Return the device plugin's configuration, in the namespace where it runs."""
    from kubernetes import client

    return client.V1ConfigMap(
        api_version="v1", kind="ConfigMap", metadata=_metadata(settings, SHARING), data={FILE: _configuration(settings)}
    )


def device_plugin(settings: Settings) -> list[Any]:
    """Return the plugin and its account, on every node that ``cluster.gpu.node_selector`` picks.

    Another configuration is another pod.
    """
    from kubernetes import client

    account = client.V1ServiceAccount(
        api_version="v1", kind="ServiceAccount", metadata=_metadata(settings, PLUGIN), automount_service_account_token=False
    )
    return [account, _daemon_set(settings)]


def _daemon_set(settings: Settings) -> V1DaemonSet:
    from kubernetes import client

    labels = {"app.kubernetes.io/name": PLUGIN}
    digest = hashlib.sha256(_configuration(settings).encode()).hexdigest()[:16]
    pod = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels, annotations={"code-assistant/sharing": digest}), spec=_pod(settings)
    )
    return client.V1DaemonSet(
        api_version="apps/v1",
        kind="DaemonSet",
        metadata=_metadata(settings, PLUGIN),
        spec=client.V1DaemonSetSpec(selector=client.V1LabelSelector(match_labels=labels), template=pod),
    )


def _configuration(settings: Settings) -> str:
    slices = settings.training.gpu_slices
    resource = {"name": GPU, "replicas": slices}
    time_slicing = {"renameByDefault": False, "failRequestsGreaterThanOne": False, "resources": [resource]}
    # A node that has lost its GPU keeps a plugin that waits for it, rather than one that ends and starts for ever.
    described: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": "none", "failOnInitError": False}}
    # One slice is a GPU that is not shared; the plugin takes no such sharing.
    return yaml.safe_dump(described | ({"sharing": {"timeSlicing": time_slicing}} if slices > 1 else {}), sort_keys=False)


def _pod(settings: Settings) -> V1PodSpec:
    from kubernetes import client

    gpu = settings.cluster.gpu
    sockets = client.V1HostPathVolumeSource(path=SOCKETS, type="Directory")
    config = client.V1ConfigMapVolumeSource(name=SHARING)
    return client.V1PodSpec(
        containers=[_plugin(settings)],
        runtime_class_name=gpu.runtime_class,
        node_selector=dict(gpu.node_selector),
        tolerations=[client.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],
        # Without it no pod gets a GPU, so that it goes last.
        priority_class_name="system-node-critical",
        service_account_name=PLUGIN,
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=client.V1PodSecurityContext(seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault")),
        volumes=[
            client.V1Volume(name="sockets", host_path=sockets),
            client.V1Volume(name="config", config_map=config),
            client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource(size_limit="16Mi")),
        ],
    )


def _plugin(settings: Settings) -> V1Container:
    from kubernetes import client

    environment = {
        "CONFIG_FILE": f"/config/{FILE}",
        # The container runtime gives it the node's driver, and every GPU to look at.
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }
    mounts = {"sockets": SOCKETS, "config": "/config", "tmp": "/tmp"}
    taken = {"memory": "128Mi"}
    return client.V1Container(
        name="device-plugin",
        image=settings.cluster.image(settings.cluster.gpu.image),
        command=["nvidia-device-plugin"],
        env=[client.V1EnvVar(name=name, value=value) for name, value in environment.items()],
        resources=client.V1ResourceRequirements(requests={"cpu": "20m", **taken}, limits={"cpu": "500m", **taken}),
        volume_mounts=[client.V1VolumeMount(name=name, mount_path=path) for name, path in mounts.items()],
        # Root, because the kubelet's folder is root's; nothing else that root may do.
        security_context=client.V1SecurityContext(
            run_as_user=0,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
    )


def _metadata(settings: Settings, name: str) -> V1ObjectMeta:
    from kubernetes import client

    return client.V1ObjectMeta(name=name, namespace=settings.cluster.gpu.namespace, labels={"app.kubernetes.io/name": name})
