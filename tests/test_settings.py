from pathlib import Path

import pytest
import yaml

from cia.errors import SettingsError
from cia.settings import Settings, default_params_path, for_child_process, load_settings


def params_file(folder: Path, text: str, overlay: str = "") -> dict[str, str]:
    (folder / "params.yaml").write_text(text)
    (folder / "params.cluster.yaml").write_text(overlay)
    return {"CIA_PARAMS": str(folder / "params.yaml")}


def test_params_yaml_holds_exactly_the_defaults_of_the_code() -> None:
    written = yaml.safe_load(default_params_path().read_text())
    assert written == Settings().model_dump(mode="json", exclude={"profile", "home"})


def test_the_cluster_overlay_changes_only_what_it_names() -> None:
    local, cluster = load_settings("local", {}), load_settings("cluster", {})
    assert cluster.index.qdrant_url
    assert local.index.qdrant_url is None
    assert cluster.chunking == local.chunking


def test_a_variable_beats_the_overlay_and_the_overlay_beats_the_file(tmp_path: Path) -> None:
    environment = params_file(tmp_path, "rag: {port: 1, rate_limit: 1, host: a}", "rag: {rate_limit: 2, host: b}")
    rag = load_settings("cluster", environment | {"CIA_RAG__HOST": "c"}).rag
    assert (rag.port, rag.rate_limit, rag.host) == (1, 2, "c")


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("rag: {prot: 1}", {}, ["rag.prot", "params.yaml", "port"]),
        ("rag: {port: high}", {}, ["rag.port", "params.yaml", "'high'", "integer"]),
        ("rag: {port: 99999}", {}, ["rag.port", "65535"]),
        ("rags: {port: 1}", {}, ["rags", "retrieval"]),
        ("pipeline: {engine: airflow}", {}, ["pipeline.engine", "'local' or 'kubeflow'"]),
        ("- a list", {}, ["params.yaml", "sections"]),
        ("rag: [", {}, ["params.yaml", "YAML"]),
        ("", {"CIA_RAG__PROT": "1"}, ["rag.prot", "CIA_RAG__PROT", "port"]),
        ("", {"CIA_RAG_PORT": "1"}, ["CIA_RAG_PORT", "rag"]),
        ("", {"CIA_RAG__PORT": "x"}, ["rag.port", "CIA_RAG__PORT"]),
        ("", {"CIA_RAG__PORT__DEEP": "1"}, ["CIA_RAG__PORT__DEEP"]),
        ("", {"CIA_PROFILE": "staging"}, ["staging", "local, cluster"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_and_what_is_allowed(
    tmp_path: Path, text: str, environment: dict[str, str], expected: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment=params_file(tmp_path, text) | environment)
    for part in expected:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_variable_that_holds_a_secret_is_not_taken_for_a_setting(tmp_path: Path) -> None:
    assert load_settings(environment=params_file(tmp_path, "") | {"CIA_MODEL_API_KEY": "s3cret"}).model.base_url is None


def test_a_missing_params_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"/nowhere/params\.yaml"):
        load_settings(environment={"CIA_PARAMS": "/nowhere/params.yaml"})


def test_a_child_process_gets_the_very_same_settings(tmp_path: Path) -> None:
    environment = params_file(tmp_path, "rag: {port: 1}") | {"CIA_HOME": str(tmp_path), "CIA_TRAINING__STEPS": "3"}
    settings = load_settings(environment=environment)
    child = for_child_process(settings, tmp_path / "state", environment | {"CIA_MODEL_API_KEY": "s3cret", "PATH": "/bin"})
    assert load_settings(environment=child) == settings
    assert child["CIA_MODEL_API_KEY"] == "s3cret"
    assert "s3cret" not in (tmp_path / "state" / "params.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "pulled"),
    [
        ("code-assistant-rag:0.1.0", "mirror.example:5000/team/code-assistant-rag:0.1.0"),
        ("qdrant/qdrant:v1.16.3", "mirror.example:5000/team/qdrant/qdrant:v1.16.3"),
        ("registry.example/qdrant/qdrant:v1.16.3", "registry.example/qdrant/qdrant:v1.16.3"),
        ("localhost/qdrant:v1.16.3", "localhost/qdrant:v1.16.3"),
        ("here:5000/qdrant@sha256:0", "here:5000/qdrant@sha256:0"),
    ],
)
def test_an_image_that_names_no_registry_is_pulled_from_the_mirror(name: str, pulled: str) -> None:
    settings = load_settings(environment={"CIA_CLUSTER__IMAGE_REGISTRY": "mirror.example:5000/team/"})
    assert settings.cluster.image(name) == pulled
    assert load_settings(environment={}).cluster.image(name) == name
