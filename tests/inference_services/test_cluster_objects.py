"""What would be applied to a cluster, against the schemas that the projects publish."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import Settings, load_settings
from inference_services.cluster_objects import cluster_objects
from tests.published_schemas import refused_by

ALL = {"CIA_INFERENCE_SERVICES__DEPLOYED": "[code-assistant, embeddings, autoscale-probe]"}
SCALING_AND_METADATA = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "annotations"}
"""Fields of a predictor that KServe does not hand on as fields of the pod."""

RENDER = """
import json
from cia.settings import load_settings
from inference_services.cluster_objects import cluster_objects
print(json.dumps(cluster_objects(load_settings("cluster", {}))), end="")
"""


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [built for built in objects if built["kind"] == kind]


@pytest.fixture(scope="module")
def cluster() -> Callable[..., list[dict[str, Any]]]:
    """The objects of the cluster's settings, with variables on top."""

    def objects(**variables: str) -> list[dict[str, Any]]:
        return cluster_objects(load_settings("cluster", ALL | {f"CIA_{name}": value for name, value in variables.items()}))

    return objects


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
@pytest.mark.parametrize("source", ["claim", "cache"])
def test_every_inference_service_fits_the_published_schema(cluster: Callable[..., Any], mode: str, source: str) -> None:
    objects = cluster(INFERENCE_SERVICES__AUTOSCALE_PROBE__MODE=mode, INFERENCE_SERVICES__WEIGHTS__SOURCE=source)
    services = of_kind(objects, "InferenceService")
    assert len(services) == 3
    published = ("KSERVE_CRDS", "serving.kserve.io_inferenceservices.yaml")
    for service in services:
        assert refused_by(*published, service) == []
        service["spec"]["predictor"]["minReplica"] = 1
        assert "minReplica" in refused_by(*published, service)[0]


def test_every_cached_model_fits_the_published_schema(cluster: Callable[..., Any]) -> None:
    caches = of_kind(cluster(INFERENCE_SERVICES__WEIGHTS__SOURCE="cache"), "LocalModelCache")
    assert len(caches) == 3
    published = ("KSERVE_CRDS", "serving.kserve.io_localmodelcaches.yaml")
    for cache in caches:
        assert refused_by(*published, cache) == []
        del cache["spec"]["nodeGroups"]
        assert "nodeGroups" in refused_by(*published, cache)[0]


def test_knative_knows_every_field_of_the_pod_that_it_is_handed(cluster: Callable[..., Any]) -> None:
    services = of_kind(cluster(INFERENCE_SERVICES__AUTOSCALE_PROBE__MODE="Knative"), "InferenceService")
    for service in services:
        predictor = service["spec"]["predictor"]
        pod = {field: value for field, value in predictor.items() if field not in SCALING_AND_METADATA}
        refused = refused_by("KNATIVE_CRDS", "service.yaml", pod, part=("spec", "template", "spec"))
        # The pods of a Deployment drain by themselves, which Knative does not let them.
        assert bool(refused) == (service["metadata"]["name"] != "autoscale-probe"), refused


def test_the_same_settings_give_the_same_bytes_in_another_process(cluster: Callable[..., Any]) -> None:
    rendered = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, text=True, check=True).stdout
    assert rendered == json.dumps(cluster(INFERENCE_SERVICES__DEPLOYED="[embeddings, code-assistant]"))


def test_weights_come_before_what_serves_them(cluster: Callable[..., Any]) -> None:
    kinds = [(built["kind"], built["metadata"]["name"].partition("-models-")[0]) for built in cluster()]
    assert kinds == [
        ("PersistentVolumeClaim", "code-assistant-models"),
        ("Job", "code-assistant"),
        ("InferenceService", "embeddings"),
        ("InferenceService", "code-assistant"),
        ("PodDisruptionBudget", "code-assistant"),
        ("InferenceService", "autoscale-probe"),
    ]


def test_only_what_is_deployed_is_built_and_fetched(cluster: Callable[..., Any]) -> None:
    objects = cluster(INFERENCE_SERVICES__DEPLOYED="[embeddings]")
    assert [built["metadata"]["name"] for built in of_kind(objects, "InferenceService")] == ["embeddings"]
    (job,) = of_kind(objects, "Job")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][1:] == ["NovaSearch/stella_en_1.5B_v5@main"]


def test_every_object_says_what_it_belongs_to_and_where(cluster: Callable[..., Any]) -> None:
    for source in ("claim", "cache"):
        for built in cluster(INFERENCE_SERVICES__WEIGHTS__SOURCE=source):
            labels = built["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "code-assistant"
            assert labels["app.kubernetes.io/managed-by"] == "cia"
            # A LocalModelCache belongs to the whole cluster.
            expected = None if built["kind"] == "LocalModelCache" else "code-assistant"
            assert built["metadata"].get("namespace") == expected


def test_no_name_is_used_twice_for_a_kind(cluster: Callable[..., Any]) -> None:
    names = [(built["kind"], built["metadata"]["name"]) for built in cluster()]
    assert len(set(names)) == len(names)


def test_a_secret_is_referred_to_and_never_written(cluster: Callable[..., Any]) -> None:
    for built in cluster():
        containers = built["spec"].get("predictor", built["spec"].get("template", {}).get("spec", {})).get("containers", [])
        for variable in (variable for container in containers for variable in container["env"]):
            secret = any(word in variable["name"] for word in ("KEY", "TOKEN", "PASSWORD", "USERNAME"))
            assert ("valueFrom" in variable) == secret
            assert secret == ("value" not in variable)


def test_every_image_has_a_version(cluster: Callable[..., Any]) -> None:
    images = [
        container["image"]
        for built in cluster()
        for container in built["spec"].get("predictor", built["spec"].get("template", {}).get("spec", {})).get("containers", [])
    ]
    assert len(images) == 4
    assert all(image.rpartition(":")[2][0].isdigit() for image in images)


def test_the_settings_of_a_laptop_are_refused_with_what_to_set(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"serving\.model is None.*--profile cluster"):
        cluster_objects(settings)
