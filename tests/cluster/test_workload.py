"""What every pod of the platform keeps to, and how the objects around it find it."""

from __future__ import annotations

from typing import Any

import pytest

from cia.cluster_settings import Compute
from cia.settings import load_settings
from cluster.pod import claimed, container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.workload import claim_template, cron_job, deployment, disruption_budget, job, service, stateful_set
from inference_services.cluster_objects import as_kubernetes_reads_it

SETTINGS = load_settings("cluster", {"CIA_CLUSTER__IMAGE_REGISTRY": "mirror.example:5000"})
COMPUTE = Compute(cpu="100m", cpu_limit="1", memory="256Mi")


def template(**options: Any) -> Any:
    program = container(
        SETTINGS,
        "shop",
        "acme/shop:1.0",
        compute=COMPUTE,
        args=["serve"],
        env=[from_secret(SETTINGS, "PASSWORD", "shop-password"), literal("ADDRESS", "shop:$(PASSWORD)@till")],
        ports={"http": 8080},
        mounts=[mount("tmp", "/tmp"), mount("goods", "/goods", read_only=True)],
        readiness=http_probe("/ready", "http"),
        leave_seconds=5,
    )
    return pod_template("shop", [program], user=1000, volumes=[empty("tmp", "1Gi"), claimed("goods", "goods")], **options)


def test_a_pod_keeps_to_the_restricted_standard_and_has_a_read_only_root() -> None:
    pod = as_kubernetes_reads_it(template())["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"] == 1000
    (program,) = pod["containers"]
    assert program["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(program["resources"]["limits"]) == set(program["resources"]["requests"]) == {"cpu", "memory"}
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]


def test_an_image_comes_from_the_mirror() -> None:
    assert as_kubernetes_reads_it(template())["spec"]["containers"][0]["image"] == "mirror.example:5000/acme/shop:1.0"


def test_a_pod_has_the_account_of_its_name_and_a_token_only_where_it_calls_the_api() -> None:
    pod = as_kubernetes_reads_it(template(calls_api=True))["spec"]
    assert pod["automountServiceAccountToken"]
    assert pod["serviceAccountName"] == "shop"
    assert not as_kubernetes_reads_it(template())["spec"]["automountServiceAccountToken"]


def test_whatever_selects_the_pods_finds_them_by_their_labels() -> None:
    labels = as_kubernetes_reads_it(template())["metadata"]["labels"]
    built = [
        deployment(SETTINGS, "shop", template()),
        stateful_set(SETTINGS, "shop", template(), service="shop-pods", claims=[claim_template(SETTINGS, "goods", "1Gi")]),
        disruption_budget(SETTINGS, "shop"),
    ]
    for owner in built:
        selector = as_kubernetes_reads_it(owner)["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        assert selector["app.kubernetes.io/part-of"] == "code-assistant"
    front = as_kubernetes_reads_it(service(SETTINGS, "shop-front", {"http": 80}, pods="shop"))["spec"]
    assert front["selector"].items() <= labels.items()
    assert front["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]


@pytest.mark.parametrize(("replicas", "spread"), [(1, False), (3, True), (None, True)])
def test_pods_are_spread_over_the_nodes_when_there_may_be_several(replicas: int | None, spread: bool) -> None:
    spec = as_kubernetes_reads_it(deployment(SETTINGS, "shop", template(), replicas=replicas))["spec"]
    assert ("topologySpreadConstraints" in spec["template"]["spec"]) == spread
    # An autoscaler's number is not ours to apply.
    assert ("replicas" in spec) == (replicas is not None)


def test_the_volumes_of_a_stateful_set_outlive_it() -> None:
    built = as_kubernetes_reads_it(
        stateful_set(SETTINGS, "shop", template(), service="shop-pods", claims=[claim_template(SETTINGS, "goods", "1Gi")])
    )
    assert built["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_a_pod_whose_volume_only_one_can_hold_is_replaced_after_it_has_gone() -> None:
    assert as_kubernetes_reads_it(deployment(SETTINGS, "shop", template(), alone=True))["spec"]["strategy"] == {
        "type": "Recreate"
    }


def test_a_schedule_never_runs_twice_at_once_and_its_pods_end() -> None:
    spec = as_kubernetes_reads_it(cron_job(SETTINGS, "shop", "0 3 * * *", template(), tries=3))["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    run = spec["jobTemplate"]["spec"]
    assert run["template"]["spec"]["restartPolicy"] == "Never"
    assert run["backoffLimit"] == 2
    assert "ttlSecondsAfterFinished" in as_kubernetes_reads_it(job(SETTINGS, "shop", template()))["spec"]
