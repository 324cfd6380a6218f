"""The namespace, and the settings as pods read them."""

from __future__ import annotations

from pathlib import Path

from cia.cluster_settings import PARAMS_FOLDER
from cia.settings import Settings, load_settings
from cluster import configuration, namespace
from cluster.configuration import params_digest, params_environment, params_mount
from tests.cluster.rendered import settings_of


def in_a_pod(settings: Settings, folder: Path, **variables: str) -> Settings:
    """What a pod loads that has the ConfigMap mounted at ``folder``."""
    (built,) = configuration.cluster_objects(settings)
    for name, text in built["data"].items():
        (folder / name).write_text(text)
    environment = {variable.name: variable.value.replace(PARAMS_FOLDER, str(folder)) for variable in params_environment("/home")}
    return load_settings(environment=environment | variables)


def test_a_pod_loads_the_very_settings_of_whoever_applied(tmp_path: Path) -> None:
    settings = settings_of(TRAINING__STEPS="17", CORPUS__SOURCES="['git@example.com:team/app.git']", TRAINING__GPU_SLICES="3")
    loaded = in_a_pod(settings, tmp_path)
    assert loaded == settings.model_copy(update={"home": Path("/home")})
    assert loaded.profile == "cluster"


def test_a_variable_of_one_pod_goes_before_them(tmp_path: Path) -> None:
    assert in_a_pod(settings_of(), tmp_path, CIA_RAG__RATE_LIMIT="7").rag.rate_limit == 7


def test_the_settings_are_mounted_where_their_variable_says() -> None:
    (params,) = [variable.value for variable in params_environment("/home") if variable.name == "CIA_PARAMS"]
    assert Path(params).parent == Path(params_mount().mount_path)


def test_other_settings_are_another_digest() -> None:
    assert params_digest(settings_of()) == params_digest(settings_of())
    assert params_digest(settings_of()) != params_digest(settings_of(RAG__RATE_LIMIT="7"))


def test_our_own_namespace_warns_of_pods_below_the_restricted_standard() -> None:
    (built,) = namespace.cluster_objects(settings_of(CLUSTER__NAMESPACE="team"))
    assert built["metadata"]["name"] == "team"
    labels = built["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


def test_the_namespace_of_others_is_left_as_it_is() -> None:
    assert namespace.cluster_objects(settings_of(CLUSTER__NAMESPACE="kubeflow", CLUSTER__OWN_NAMESPACE="false")) == []
