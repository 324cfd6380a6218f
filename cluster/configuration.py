"""The settings of whoever applies the platform, as every pod of it reads them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import yaml

from cia.cluster_settings import PARAMS_FOLDER
from cia.settings import Settings
from cluster.part import Object
from cluster.pod import config_files, literal, mount
from cluster.workload import config_map
from inference_services.cluster_objects import as_kubernetes_reads_it

if TYPE_CHECKING:
    from kubernetes.client import V1EnvVar, V1Volume, V1VolumeMount

VOLUME = "params"
DIGEST = "code-assistant/params"
"""Annotation of pods that read the settings once, when they start: other settings are other pods."""


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the ConfigMap with the effective settings: defaults, files, overlay and variables in one."""
    # The overlay is in the settings already. Pods look for one because their profile is cluster.
    files = {"params.yaml": _effective(settings), "params.cluster.yaml": "{}\n"}
    return [as_kubernetes_reads_it(config_map(settings, settings.cluster.params, files))]


def params_volume(settings: Settings) -> V1Volume:
    """Return the volume that `params_mount` mounts."""
    return config_files(VOLUME, settings.cluster.params)


def params_mount() -> V1VolumeMount:
    """Return where the settings are in a container."""
    return mount(VOLUME, PARAMS_FOLDER, read_only=True)


def params_environment(home: str) -> list[V1EnvVar]:
    """Return what tells `load_settings` of them, and of ``home``, the one folder that is written to."""
    return [
        literal("CIA_PROFILE", "cluster"),
        literal("CIA_PARAMS", f"{PARAMS_FOLDER}/params.yaml"),
        literal("CIA_HOME", home),
    ]


def params_digest(settings: Settings) -> dict[str, str]:
    """Return the annotation by which a Deployment replaces its pods when the settings change."""
    return {DIGEST: hashlib.sha256(_effective(settings).encode()).hexdigest()[:16]}


def _effective(settings: Settings) -> str:
    return yaml.safe_dump(settings.model_dump(mode="json", exclude={"profile", "home"}), sort_keys=False)
