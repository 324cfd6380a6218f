"""``cia cluster`` as a person runs it, against a stand-in for an API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.kubeconfig import use_kubeconfig

NAMESPACE = "code-assistant"
SOME = ["--only", "namespace", "--only", "volumes"]
CLAIMS = "v1/persistentvolumeclaims"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    stand_in = Cluster()
    use_kubeconfig(tmp_path, stand_in.url, monkeypatch)
    yield stand_in
    stand_in.close()


def cia(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, what was printed and what was complained of."""
    capsys.readouterr()
    code = run(["cluster", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code, out, _ = cia(capsys, *arguments, "--json")
    return code, json.loads(out)


def test_a_second_apply_changes_nothing_and_says_so(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cia(capsys, "apply", *SOME, "--no-wait")
    assert code == 0
    assert "context stand-in" in out
    assert "+ namespace           created    Namespace code-assistant" in out
    assert "keys of the secret code-assistant got a random value" in out
    assert out.endswith("2 created\n")
    code, out, _ = cia(capsys, "apply", *SOME, "--no-wait")
    assert code == 0
    assert out.endswith("nothing changed (2 objects)\n")


def test_a_made_secret_is_never_printed(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = cia(capsys, "apply", *SOME, "--no-wait", "--json")
    secret = cluster.get("v1/secrets", NAMESPACE, NAMESPACE)
    assert secret
    assert len(secret["data"]) >= 4
    assert not any(value in out + err for value in secret["data"].values())
    assert set(json.loads(out)["secret"]["made"]) == set(secret["data"])


def test_nothing_is_applied_when_anything_is_refused_and_all_refusals_are_told(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answer("PATCH", "persistentvolumeclaims", 422, "is invalid", causes=[{"field": "spec.x", "message": "Required"}])
    code, _, err = cia(capsys, "apply", *SOME, "--only", "inference-services", "--no-wait")
    assert code == 1
    assert "! PersistentVolumeClaim code-assistant-home does not hold: spec.x: Required" in err
    assert "! the cluster has no kind InferenceService (serving.kserve.io, v1beta1): install KServe" in err
    assert "so none was applied" in err.splitlines()[-1]
    assert cluster.get("v1/namespaces", None, NAMESPACE) is None


def test_a_dry_run_keeps_nothing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cia(capsys, "apply", *SOME, "--dry-run", "server")
    assert code == 0
    assert out.endswith("2 would be created\n")
    assert cluster.get("v1/namespaces", None, NAMESPACE) is None


def test_a_difference_is_exit_code_1_and_none_is_0(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert cia(capsys, "diff", *SOME)[0] == 1
    cia(capsys, "apply", *SOME, "--no-wait")
    code, out, _ = cia(capsys, "diff", *SOME)
    assert (code, out) == (0, "no difference in 2 objects\n")
    cluster.change(CLAIMS, NAMESPACE, "code-assistant-home", lambda live: live["spec"].update(accessModes=["ReadOnlyMany"]))
    code, out, _ = cia(capsys, "diff", *SOME)
    assert code == 1
    assert "~ PersistentVolumeClaim code-assistant-home (volumes)\n    spec.accessModes[0]\n      -ReadOnlyMany\n" in out
    _, found = document(capsys, "diff", *SOME)
    assert found["objects"][0]["differences"] == [{"path": "spec.accessModes[0]", "lines": ["-ReadOnlyMany", "+ReadWriteMany"]}]


def test_what_is_no_longer_made_is_shown_and_goes_only_when_asked(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cia(capsys, "apply", *SOME, "--no-wait")
    home = cluster.get(CLAIMS, NAMESPACE, "code-assistant-home")
    assert home
    old = {"name": "old", "namespace": NAMESPACE, "labels": home["metadata"]["labels"]}
    cluster.put("v1/configmaps", {"metadata": old})
    code, out, _ = cia(capsys, "diff", *SOME)
    assert code == 1
    assert "- ConfigMap old  is no longer made" in out
    code, _, err = cia(capsys, "apply", *SOME, "--no-wait", "--prune")
    assert code == 2
    assert "--yes" in err
    assert cluster.get("v1/configmaps", NAMESPACE, "old")
    code, pruned = document(capsys, "apply", *SOME, "--no-wait", "--prune", "--yes")
    assert pruned["pruned"] == [{"kind": "ConfigMap", "name": "old", "namespace": NAMESPACE}]
    assert cluster.get("v1/configmaps", NAMESPACE, "old") is None


def test_what_is_not_ready_in_time_is_told_and_fails(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, "apply", *SOME, "--timeout", "1")
    assert code == 1
    (pending,) = found["pending"]
    assert (pending["kind"], pending["why"]) == ("PersistentVolumeClaim", "no volume is bound to it")
    cluster.change(CLAIMS, NAMESPACE, "code-assistant-home", lambda live: live.update(status={"phase": "Bound"}))
    code, out, _ = cia(capsys, "apply", *SOME, "--timeout", "20")
    assert code == 0
    assert out.endswith("everything is ready\n")


def test_a_deletion_spares_volumes_unless_told(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cia(capsys, "apply", *SOME, "--no-wait")
    cluster.put("v1/configmaps", {"metadata": {"name": "theirs", "namespace": NAMESPACE}})
    code, out, _ = cia(capsys, "delete", "--yes")
    assert code == 0
    assert "- stays: PersistentVolumeClaim code-assistant-home" in out
    assert out.endswith("there is nothing to delete\n")
    code, gone = document(capsys, "delete", "--volumes", "--yes")
    assert code == 0
    assert [one["kind"] for one in gone["deleted"]] == ["PersistentVolumeClaim", "Secret", "Namespace"]
    assert cluster.get("v1/configmaps", NAMESPACE, "theirs")


def test_the_doctors_findings_come_with_fixes_and_exit_code_1(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cia(capsys, "doctor", "--only", "volumes")
    assert code == 1
    assert any(line.startswith("  !! ") for line in out.splitlines())
    assert any(line.startswith("       fix: ") for line in out.splitlines())
    code, found = document(capsys, "doctor", "--only", "volumes")
    assert code == 1
    assert all(finding["fix"] for finding in found["findings"] if finding["state"] == "broken")


def test_rendering_needs_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, out, _ = cia(capsys, "render", "-o", str(tmp_path / "out"), "--only", "volumes")
    assert (code, out) == (0, f"{tmp_path / 'out'} holds 1 object\n")
    code, _, err = cia(capsys, "diff")
    assert code == 2
    assert "there is no kubeconfig" in err


def test_a_part_that_there_is_not_is_named(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = cia(capsys, "apply", "--only", "qdrent")
    assert code == 2
    assert "there is no part 'qdrent'" in err
