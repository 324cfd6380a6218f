"""Each refusal of an API server is one sentence that says what was wrong and what to do."""

from __future__ import annotations

import pytest

from cia.errors import AccessError, CiaError, OperationError, UnavailableError
from cluster.apply.planning import plan
from cluster.apply.refusals import ConflictError
from cluster.apply.server import ATTEMPTS, Server
from cluster.connection import connect
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.cluster.apply.objects_of_ours import NAMESPACE, config_map, made, one_part

MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps/params"
BUSY = "the server has received too many requests"


def refused(server: Server, status: int, message: str, cluster: Cluster, **details: object) -> CiaError:
    """Return what applying a ConfigMap raises when the server answers so."""
    cluster.answer("PATCH", MAPS, status, message, **details)
    with pytest.raises(CiaError) as caught:
        server.apply(config_map())
    return caught.value


def test_a_conflict_names_the_fields_and_who_holds_them_and_the_way_to_take_them(cluster: Cluster, server: Server) -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit" using v1', "field": ".data.x"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit" using v1', "field": ".data.y"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "argocd" using v1', "field": ".data.z"},
    ]
    error = refused(server, 409, "Apply failed with 3 conflicts", cluster, causes=causes)
    assert str(error) == (
        "ConfigMap params: argocd holds data.z; kubectl-edit holds data.x, data.y. --force-conflicts takes that over"
    )
    assert isinstance(error, ConflictError)
    assert error.fields == {"kubectl-edit": ["data.x", "data.y"], "argocd": ["data.z"]}
    assert len(cluster.requests("PATCH", MAPS)) == 1  # asking again does not help


def test_a_plan_past_a_conflict_notes_it_and_goes_on(cluster: Cluster, server: Server) -> None:
    server.apply(config_map(x="theirs"))
    causes = [{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit" using v1', "field": ".data.x"}]
    cluster.answer("PATCH", f"{MAPS}.*", 409, "Apply failed with 1 conflict", causes=causes, times=1)
    (change,) = plan(server, one_part(config_map(x="ours")), past_conflicts=True).changes
    assert change.outcome == "changed"
    assert change.conflict
    assert change.conflict.fields == {"kubectl-edit": ["data.x"]}


def test_a_forbidden_verb_names_who_may_not_do_what_and_where(cluster: Cluster, server: Server) -> None:
    message = (
        'configmaps "params" is forbidden: User "system:serviceaccount:ci:deployer" cannot patch resource "configmaps" '
        'in API group "" in the namespace "code-assistant"'
    )
    error = refused(server, 403, message, cluster)
    assert isinstance(error, AccessError)
    assert "system:serviceaccount:ci:deployer may not patch configmaps in the namespace code-assistant" in str(error)


def test_a_kind_that_is_missing_names_the_project_that_brings_it(cluster: Cluster, server: Server) -> None:
    monitor = made("ServiceMonitor", "vllm", "monitoring.coreos.com/v1")
    service = made("InferenceService", "code-assistant", "serving.kserve.io/v1beta1")
    sentences = [str(one.error) for one in plan(server, one_part(monitor, service)).refusals]
    assert sentences[0].startswith(
        "the cluster has no kind ServiceMonitor (monitoring.coreos.com, v1): install the Prometheus op"
    )
    assert "install KServe" in sentences[1]


def test_a_wrong_field_is_told_as_the_server_tells_it(cluster: Cluster, server: Server) -> None:
    causes = [{"reason": "FieldValueInvalid", "message": 'Invalid value: "P": must be lower case', "field": "metadata.name"}]
    error = refused(server, 422, "ConfigMap is invalid", cluster, causes=causes)
    assert str(error) == 'ConfigMap params does not hold: metadata.name: Invalid value: "P": must be lower case'


def test_a_field_that_nobody_may_change_comes_with_the_way_to_change_it(cluster: Cluster, server: Server) -> None:
    causes = [
        {"reason": "FieldValueInvalid", "message": f"Invalid value: {'x' * 5000}: field is immutable", "field": "spec.template"}
    ]
    error = refused(
        server, 422, f"Job is invalid: spec.template: Invalid value: {'x' * 5000}: field is immutable", cluster, causes=causes
    )
    assert "nobody change spec.template once it is made" in str(error)
    assert "`kubectl -n code-assistant delete configmap params`, then apply again" in str(error)
    assert len(str(error)) < 300


def test_a_volume_that_would_shrink_and_a_stateful_set_have_sentences_of_their_own(cluster: Cluster, server: Server) -> None:
    shrink = [{"message": "Forbidden: field can not be less than status.capacity", "field": "spec.resources.requests.storage"}]
    cluster.answer("PATCH", "/persistentvolumeclaims/home", 422, "is invalid: field can not be less than", causes=shrink)
    with pytest.raises(OperationError, match=r"home keeps its class and never shrinks \(spec.resources.requests.storage\)"):
        server.apply(made("PersistentVolumeClaim", "home"))


def test_a_webhook_that_is_down_is_named_with_its_service(cluster: Cluster, server: Server) -> None:
    message = (
        'Internal error occurred: failed calling webhook "inferenceservice.kserve-webhook-server.defaulter": failed to call '
        'webhook: Post "https://kserve-webhook-server-service.kserve.svc:443/mutate?timeout=10s": no endpoints available'
    )
    error = refused(server, 500, message, cluster)
    assert "inferenceservice.kserve-webhook-server.defaulter of the service kserve-webhook-server-service in kserve" in str(error)


def test_a_webhook_that_says_no_is_quoted(cluster: Cluster, server: Server) -> None:
    error = refused(server, 403, 'admission webhook "policy.example" denied the request: no latest tags', cluster)
    assert str(error) == "ConfigMap params: the admission webhook policy.example does not allow it: no latest tags"


def test_a_field_that_the_clusters_release_does_not_have_is_named(cluster: Cluster, server: Server) -> None:
    error = refused(server, 500, "failed to create typed patch object: .spec.canary: field not declared in schema", cluster)
    assert "has no field spec.canary; its CRD is of another release" in str(error)


def test_a_namespace_on_its_way_out_is_told_as_that(cluster: Cluster, server: Server) -> None:
    causes = [{"reason": "NamespaceTerminating", "message": "namespace code-assistant is being terminated"}]
    assert "is being deleted; wait until it is gone" in str(refused(server, 403, "forbidden", cluster, causes=causes))


def test_a_busy_server_is_asked_again_after_as_long_as_it_says(cluster: Cluster) -> None:
    pauses: list[float] = []
    server = Server(connect(), pause=pauses.append)
    cluster.answer("PATCH", MAPS, 429, BUSY, times=2, headers={"Retry-After": "7"})
    assert server.apply(config_map(x="1"))["data"] == {"x": "1"}
    assert pauses == [7.0, 7.0]


def test_a_server_that_stays_busy_is_given_up(cluster: Cluster, server: Server) -> None:
    error = refused(server, 429, BUSY, cluster)
    assert isinstance(error, UnavailableError)
    assert "too busy to apply ConfigMap params" in str(error)
    assert len(cluster.requests("PATCH", MAPS)) == ATTEMPTS


def test_a_change_at_the_same_moment_is_sent_again(cluster: Cluster, server: Server) -> None:
    cluster.answer("PATCH", MAPS, 409, "the object has been modified", times=1)
    assert server.apply(config_map(x="1"))["data"] == {"x": "1"}


def test_credentials_that_run_out_on_the_way_are_said_so(cluster: Cluster, server: Server) -> None:
    assert "no longer takes your credentials" in str(refused(server, 401, "Unauthorized", cluster))


def test_a_server_that_goes_away_is_one_sentence(cluster: Cluster, server: Server) -> None:
    assert server.knows("v1", "ConfigMap")
    cluster._run(cluster._server.server.close())
    with pytest.raises(UnavailableError, match="stopped answering"):
        server.apply(config_map())


def test_what_the_server_remarks_is_kept_once(cluster: Cluster, server: Server) -> None:
    server.apply(config_map())
    server.apply(config_map("other"))
    assert server.warnings == ["the server remarks: stand-in: no field owners"]
