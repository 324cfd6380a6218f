"""The cluster path against a stand-in for the Kubernetes API that speaks HTTP; the SDK and its client are the real ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cia.errors import OperationError, UnavailableError
from cia.settings import Settings, load_settings
from runtimes.cluster_trainer import ClusterTrainer
from runtimes.train_job import FineTuneRequest
from runtimes.training_runtime import code_assistant_qlora

TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"


class Cluster(ThreadingHTTPServer):
    """Knows one runtime, takes one job, and ends it as told."""

    runtime: dict[str, Any]
    job: dict[str, Any] | None = None
    end = "Complete"
    log = ""


class Handler(BaseHTTPRequestHandler):
    server: Cluster

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        job["metadata"] |= {"namespace": "code-assistant", "creationTimestamp": "2026-11-20T10:00:00Z"}
        self.server.job = job
        self.reply(201, job)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        cluster = self.server
        if path == f"{TRAINER}/clustertrainingruntimes/code-assistant-qlora":
            self.reply(200, cluster.runtime)
        elif path.startswith(f"{TRAINER}/namespaces/code-assistant/trainjobs/") and cluster.job:
            condition = {"type": cluster.end, "status": "True", "lastTransitionTime": "2026-11-20T10:00:09Z"}
            condition |= {"reason": "Ended", "message": ""}
            self.reply(200, {**cluster.job, "status": {"conditions": [condition]}})
        elif path == "/api/v1/namespaces/code-assistant/pods":
            self.reply(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [self.pod()]})
        elif path.endswith("/log"):
            self.reply(200, cluster.log)
        else:
            self.reply(404, {"kind": "Status", "status": "Failure", "code": 404})

    def pod(self) -> dict[str, Any]:
        labels = {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": "0"}
        return {
            "metadata": {"name": "job-node-0", "labels": labels, "creationTimestamp": "2026-11-20T10:00:01Z"},
            "spec": {"containers": [{"name": "node", "image": "trainer"}]},
            "status": {"phase": "Succeeded"},
        }

    def reply(self, code: int, content: Any) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.end_headers()
        self.wfile.write((content if isinstance(content, str) else json.dumps(content)).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def cluster_settings() -> Settings:
    return load_settings("cluster", {})


@pytest.fixture
def cluster(cluster_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    server = Cluster(("127.0.0.1", 0), Handler)
    server.runtime = code_assistant_qlora(cluster_settings).to_dict()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield server
    server.shutdown()
    server.server_close()


def request(settings: Settings, out: Path) -> FineTuneRequest:
    return FineTuneRequest.of(settings, Path("/workspace/examples.jsonl"), settings.training.base_model, out)


def test_a_job_runs_the_entry_point_on_the_runtime_and_gives_its_result(
    cluster: Cluster, cluster_settings: Settings, tmp_path: Path
) -> None:
    figures = {"losses": [3.0, 2.0], "seconds": 9.0, "tokens_per_second": 800, "peak_memory_mib": 9000, "run_id": "r1"}
    (tmp_path / "training.json").write_text(json.dumps(figures))
    cluster.log = 'loading\n{"stage": "training", "done": 2, "total": 2, "loss": 2.0}\n'
    seen: list[tuple[str, int, int]] = []
    wanted = request(cluster_settings, tmp_path)
    result = ClusterTrainer(cluster_settings, polling_seconds=1).run(wanted, lambda *event: seen.append(event))
    assert result.losses == (3.0, 2.0)
    assert result.adapter == tmp_path / "adapter"
    assert seen == [("training", 2, 2)]
    assert cluster.job is not None
    spec = cluster.job["spec"]
    assert spec["runtimeRef"] == {"kind": "ClusterTrainingRuntime", "name": "code-assistant-qlora"}
    assert spec["trainer"]["image"] == "code-assistant-trainer:0.1.0"
    assert spec["trainer"]["command"] == ["python", "-m"]
    assert spec["trainer"]["args"] == ["runtimes.fine_tune", *wanted.arguments()]
    assert "--quantization=nf4" in spec["trainer"]["args"]
    assert spec["activeDeadlineSeconds"] == cluster_settings.training.timeout_seconds


def test_a_failed_job_raises_with_the_cause_from_its_log(cluster: Cluster, cluster_settings: Settings, tmp_path: Path) -> None:
    cluster.end, cluster.log = "Failed", "loading\nerror: /workspace/examples.jsonl holds no examples\n"
    with pytest.raises(OperationError, match="holds no examples"):
        ClusterTrainer(cluster_settings, polling_seconds=1).run(request(cluster_settings, tmp_path))


def test_a_missing_runtime_is_told_with_what_to_do(cluster: Cluster, cluster_settings: Settings, tmp_path: Path) -> None:
    elsewhere = cluster_settings.training.model_copy(update={"runtime": "other"})
    with pytest.raises(UnavailableError, match="cia cluster doctor"):
        ClusterTrainer(cluster_settings.model_copy(update={"training": elsewhere})).run(request(cluster_settings, tmp_path))
    assert cluster.job is None
