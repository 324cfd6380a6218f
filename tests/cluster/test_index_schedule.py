"""The schedule that keeps the index up to date."""

from __future__ import annotations

from typing import Any

from cluster.index_schedule import cluster_objects
from tests.cluster.rendered import settings_of


def test_the_sources_of_the_settings_are_indexed_at_the_times_that_they_say() -> None:
    sources = "['git@example.com:team/app.git@main', 'pypi:httpx==0.28.1']"
    (job,) = cluster_objects(settings_of(CORPUS__SOURCES=sources, CLUSTER__INDEX__SCHEDULE="5 * * * *"))
    assert job["spec"]["schedule"] == "5 * * * *"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["cia", "index"]
    assert container["args"] == ["git@example.com:team/app.git@main", "pypi:httpx==0.28.1"]
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == settings_of().cluster.index.timeout_seconds


def test_a_run_may_fetch_and_writes_to_the_shared_volume() -> None:
    (job,) = cluster_objects(settings_of())
    template = job["spec"]["jobTemplate"]["spec"]["template"]
    assert template["metadata"]["labels"]["code-assistant/reaches"] == "outside"
    (container,) = template["spec"]["containers"]
    home = next(variable["value"] for variable in container["env"] if variable["name"] == "CIA_HOME")
    mounted = next(mount for mount in container["volumeMounts"] if mount["mountPath"] == home)
    assert "readOnly" not in mounted


def test_a_private_server_gets_its_password_from_the_secret() -> None:
    def variables(**more: str) -> dict[str, dict[str, Any]]:
        (job,) = cluster_objects(settings_of(**more))
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        return {variable["name"]: variable for variable in container["env"]}

    given = variables(CLUSTER__GIT_SERVER="https://git.example.com")
    assert given["GIT_CONFIG_KEY_0"]["value"] == "credential.https://git.example.com.helper"
    assert given["GIT_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] == "git-password"
    assert not any(name.startswith("GIT_") for name in variables())


def test_without_a_schedule_or_sources_there_is_none() -> None:
    assert cluster_objects(settings_of(CLUSTER__INDEX__SCHEDULE="null")) == []
    assert cluster_objects(settings_of(CORPUS__SOURCES="[]")) == []
