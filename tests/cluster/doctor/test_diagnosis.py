"""The whole doctor: what stops a check stops that check alone, and nothing takes long."""

from __future__ import annotations

import time

import pytest

from cia.errors import InputError
from cia.settings import Settings, load_settings
from cluster.doctor import diagnosis
from cluster.doctor.diagnosis import diagnose
from cluster.doctor.finding import broken, merged, ok
from tests.cluster.stand_in_cluster import StandInCluster, served


def test_an_empty_cluster_gives_a_line_with_a_fix_for_everything_that_it_lacks(
    cluster: StandInCluster, settings: Settings
) -> None:
    found = diagnose(settings, cluster.serve())
    assert found[0].state == "ok"
    assert {"kinds", "controllers", "storage", "GPU nodes", "add-ons", "pipelines"} <= {
        one.area for one in found if one.state == "broken"
    }
    assert all(one.fix for one in found if one.state in ("broken", "warning"))
    assert not [one for one in found if one.subject == "this check"], "a check failed"


def test_looking_changes_nothing(cluster: StandInCluster, settings: Settings) -> None:
    diagnose(settings, cluster.serve(), ["runtimes"])
    assert {path for method, path in cluster.requests if method != "GET"} == {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    }


def test_a_right_that_the_doctor_lacks_is_named_and_the_rest_is_told(cluster: StandInCluster, settings: Settings) -> None:
    cluster.denied.add(("list", "nodes"))
    found = diagnose(settings, cluster.serve(), ["runtimes"])
    told = [one for one in found if one.subject == "nodes" and one.area == "GPU nodes"]
    assert [(one.state, one.said) for one in told] == [("warning", "cannot be told: you may not list it")]
    assert "--verb=list --resource=nodes" in told[0].fix
    assert told[0].fix.endswith("--user=ann")
    assert any(one.area == "secret" for one in found)


def test_a_check_that_breaks_or_hangs_is_a_line_of_the_table(
    cluster: StandInCluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answers["/api/v1/nodes"] = 200, {"items": [{"metadata": {"labels": {"nvidia.com/gpu.present": "true"}}}]}
    cluster.slow["/apis/apps/v1/deployments"] = 5.0
    monkeypatch.setattr(diagnosis, "SECONDS", 1.5)
    begun = time.monotonic()
    found = diagnose(settings, cluster.serve(), ["runtimes"])
    assert time.monotonic() - begun < 4
    lines = {one.area: one for one in found if one.subject == "this check"}
    assert "KeyError" in lines["GPU nodes"].said
    assert lines["controllers"].state == "warning"
    assert any(one.area == "secret" for one in found)


def test_a_server_that_went_away_is_the_one_thing_told(settings: Settings) -> None:
    with served(StandInCluster()) as cluster:
        connection = cluster.serve()
    connection.api.configuration.retries = False
    found = diagnose(settings, connection, ["runtimes"])
    assert found[0].state == "broken"
    assert "kubectl cluster-info" in found[0].fix
    assert {one.state for one in found[1:]} == {"skipped"}


def test_settings_that_make_no_objects_are_a_finding_with_their_own_fix(cluster: StandInCluster) -> None:
    wrong = load_settings("cluster", environment={"CIA_INFERENCE_SERVICES__EMBEDDINGS__MODEL": "none"})
    (told,) = [one for one in diagnose(wrong, cluster.serve(), ["inference-services"]) if one.area == "settings"]
    assert told.subject == "inference-services"
    assert told.said.startswith("inference_services.embeddings.model is 'none'")
    assert "set one" in told.fix


def test_what_is_said_of_many_is_said_once() -> None:
    alike = [broken("storage", f"data-{number}", "is Pending", f"describe {number}") for number in range(8)]
    other = ok("storage", "home", "is there")
    first, second = merged([alike[0], other, *alike[1:]])
    assert first.subject == "data-0, data-1, data-2, data-3, data-4, data-5 and 2 more"
    assert (first.fix, second) == ("describe 0", other)


def test_a_part_that_there_is_not_is_refused(cluster: StandInCluster, settings: Settings) -> None:
    with pytest.raises(InputError, match="there is no part 'runtime'"):
        diagnose(settings, cluster.serve(), ["runtime"])
