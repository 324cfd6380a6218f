"""The whole platform on a real API server: applied, applied again, broken, looked at, pruned and taken away.

They run against ``KUBECONFIG`` in a namespace of their own, which goes when they end. No pod has to start, so neither nodes nor
images are needed; a part whose kinds the cluster lacks is left out, and named in the output of ``pytest -rA``.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cia.settings import load_settings
from cli.main import run
from cluster.apply.planning import plan
from cluster.apply.server import Server
from cluster.connection import connect
from cluster.part import PART_LABEL, Object
from cluster.platform import PARTS, platform
from inference_services.object_metadata import LABELS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("KUBECONFIG"), reason="set KUBECONFIG to a cluster in which a namespace may be made"),
]

Cia = Callable[..., tuple[int, str, str]]


class Installation:
    """A platform in a namespace of its own, of all parts whose kinds the cluster has."""

    def __init__(self) -> None:
        self.namespace = f"cia-test-{uuid.uuid4().hex[:8]}"
        # What would lie outside the namespace is called after it, and drivers of GPUs in kube-system are left alone.
        self.environment = {
            "CIA_CLUSTER__NAMESPACE": self.namespace,
            "CIA_CLUSTER__GPU__NAMESPACE": self.namespace,
            "CIA_TRAINING__RUNTIME": f"{self.namespace}-qlora",
        }
        self.server = Server(connect())
        parts = platform(load_settings("cluster", environment=self.environment))
        lacking = {one.part for one in plan(self.server, parts).refusals if "the cluster has no kind" in str(one.error)}
        if lacking:
            print(f"the cluster lacks kinds of {', '.join(sorted(lacking))}")
        self.only = [argument for part in PARTS if part.name not in lacking for argument in ("--only", part.name)]
        self.objects = sum(len(objects) for part, objects in parts if part.name not in lacking)
        self.applied = False

    def get(self, api_version: str, kind: str, name: str) -> Object | None:
        return self.server.get(api_version, kind, name, self.namespace)

    def end_pods(self) -> None:
        """Delete pods at once: where no kubelet runs, nobody says that they have ended."""
        core = connect().api
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        core.call_api(path, "DELETE", query_params=[("gracePeriodSeconds", 0)], auth_settings=["BearerToken"])


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    made = Installation()
    yield made
    with pytest.MonkeyPatch.context() as patch:
        for key, value in made.environment.items():
            patch.setenv(key, value)
        run(["cluster", "delete", "--yes", "--timeout", "60"])
        made.end_pods()
        run(["cluster", "delete", "--volumes", "--yes", "--timeout", "120"])
    if left := made.server.get("v1", "Namespace", made.namespace):
        made.server.delete(left)


@pytest.fixture
def cia(installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cia:
    """Run ``cia cluster`` on the installation, which is there, and return the exit code and what was printed."""
    for key, value in installation.environment.items():
        monkeypatch.setenv(key, value)

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["cluster", *arguments, *installation.only])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    if not installation.applied:
        code, out, err = command("apply", "--no-wait")
        assert code == 0, err
        assert out.endswith(f"{installation.objects} created\n")
        installation.applied = True
    return command


def changed_by_hand(installation: Installation, api_version: str, kind: str, name: str, patch: dict[str, Any]) -> None:
    """Write to an object as somebody with kubectl would."""
    dynamic = connect().dynamic
    dynamic.patch(
        dynamic.resources.get(api_version=api_version, kind=kind),
        body=patch,
        name=name,
        namespace=installation.namespace,
        content_type="application/merge-patch+json",
        field_manager="kubectl-edit",
    )


def test_a_second_apply_changes_nothing_while_controllers_are_at_work(cia: Cia, installation: Installation) -> None:
    time.sleep(2)  # controllers default, count and annotate
    code, out, err = cia("apply", "--no-wait", "--json")
    assert code == 0, err
    assert {one["outcome"] for one in json.loads(out)["objects"]} == {"unchanged"}
    code, out, _ = cia("diff")
    assert (code, out) == (0, f"no difference in {installation.objects} objects\n")


def test_what_was_changed_by_hand_is_shown_and_taken_back_only_by_force(cia: Cia, installation: Installation) -> None:
    changed_by_hand(installation, "v1", "ConfigMap", "code-assistant-params", {"data": {"params.yaml": "retrieval: {}\n"}})
    code, out, _ = cia("diff")
    assert code == 1
    assert "~ ConfigMap code-assistant-params (configuration)" in out
    assert "apply needs --force-conflicts (kubectl-edit: data.params.yaml)" in out
    assert "    data[params.yaml]\n      -retrieval: {}\n" in out
    code, _, err = cia("apply", "--no-wait")
    assert code == 1
    assert "kubectl-edit holds data.params.yaml. --force-conflicts takes that over" in err
    assert cia("apply", "--no-wait", "--force-conflicts")[0] == 0
    assert cia("diff")[0] == 0


def test_what_was_deleted_by_hand_is_told_by_diff_and_doctor_and_made_again(cia: Cia, installation: Installation) -> None:
    if "rag-server" not in installation.only:
        pytest.skip("the cluster lacks a kind of the RAG server's part")
    service = installation.get("v1", "Service", "rag-server")
    assert service
    installation.server.delete(service)
    code, out, _ = cia("diff")
    assert code == 1
    assert "+ Service rag-server (rag-server)  would be created" in out
    code, out, _ = cia("doctor")
    assert code == 1
    assert any("!!" in line and "rag-server" in line for line in out.splitlines()), out
    code, out, _ = cia("apply", "--no-wait")
    assert code == 0
    assert out.endswith(f"1 created, {installation.objects - 1} unchanged\n")


def test_a_dry_run_against_the_server_keeps_nothing(cia: Cia, installation: Installation) -> None:
    claim = installation.get("v1", "PersistentVolumeClaim", "code-assistant-home")
    code, out, _ = cia("delete", "--dry-run", "server", "--volumes")
    assert code == 0
    assert out.endswith("objects\n")
    assert installation.get("v1", "PersistentVolumeClaim", "code-assistant-home") == claim
    assert cia("diff")[0] == 0


def test_what_is_no_longer_made_is_pruned_and_what_is_not_ours_stays(cia: Cia, installation: Installation) -> None:
    ours = {**LABELS, PART_LABEL: "configuration"}
    for name, labels in {"old": ours, "theirs": {"app": "theirs"}}.items():
        metadata = {"name": name, "namespace": installation.namespace, "labels": labels}
        installation.server.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    code, out, _ = cia("diff")
    assert code == 1
    assert "- ConfigMap old  is no longer made" in out
    code, out, err = cia("apply", "--no-wait", "--prune", "--yes", "--json")
    assert code == 0, err
    assert [one["name"] for one in json.loads(out)["pruned"]] == ["old"]
    assert installation.get("v1", "ConfigMap", "old") is None
    assert installation.get("v1", "ConfigMap", "theirs")


def test_a_volume_that_would_shrink_is_refused_and_nothing_else_is_applied(
    cia: Cia, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIA_CLUSTER__HOME_SIZE", "1Gi")
    code, _, err = cia("apply", "--no-wait")
    assert code == 1
    assert "PersistentVolumeClaim code-assistant-home keeps its class and never shrinks" in err
    monkeypatch.delenv("CIA_CLUSTER__HOME_SIZE")
    assert cia("diff")[0] == 0


def test_a_deletion_spares_what_holds_data_and_with_volumes_nothing_is_left(cia: Cia, installation: Installation) -> None:
    code, out, err = cia("delete", "--yes", "--timeout", "120")
    installation.applied = False
    assert code == 0, err
    assert "- stays: PersistentVolumeClaim code-assistant-home" in out
    assert installation.get("v1", "PersistentVolumeClaim", "code-assistant-home")
    installation.end_pods()
    assert run(["cluster", "delete", "--volumes", "--yes", "--timeout", "120"]) == 0
    assert installation.server.get("v1", "Namespace", installation.namespace) is None
