"""The cluster path against a stand-in for the Kubernetes API that speaks HTTP; the SDK and its client are the real ones."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cia.errors import OperationError, UnavailableError
from cia.settings import Settings, load_settings
from runtimes.cluster_trainer import ClusterTrainer
from runtimes.train_job import FineTuneRequest
from runtimes.train_jobs import RUN_VARIABLE
from runtimes.training_runtime import code_assistant_qlora
from tests.kubeconfig import use_kubeconfig
from tests.runtimes.stand_in_cluster import Cluster, later

NO_GPU = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector."


@pytest.fixture
def cluster_settings() -> Settings:
    return load_settings("cluster", {})


@pytest.fixture
def cluster(cluster_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    server = Cluster(code_assistant_qlora(cluster_settings).to_dict())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    use_kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def request_(cluster_settings: Settings, tmp_path: Path) -> FineTuneRequest:
    """A request whose job has left its result, as the jobs here do not."""
    figures = {"losses": [3.0, 2.0], "seconds": 9.0, "tokens_per_second": 800, "peak_memory_mib": 9000, "run_id": "r1"}
    (tmp_path / "training.json").write_text(json.dumps(figures))
    return FineTuneRequest.of(cluster_settings, Path("/home/examples.jsonl"), cluster_settings.training.base_model, tmp_path)


@pytest.fixture
def trainer(cluster_settings: Settings) -> ClusterTrainer:
    return ClusterTrainer(cluster_settings, polling_seconds=0.05)


def finishes(cluster: Cluster, *lines: str) -> None:
    """Have each job that is submitted print ``lines`` and complete."""

    def act(job: str) -> None:
        pod = cluster.start_pod(job, "", *lines)
        cluster.set_pod(pod, phase="Succeeded")
        cluster.end(job)

    cluster.on_submit = act


def fails(cluster: Cluster, *lines: str, **status: object) -> None:
    """Have each job that is submitted print ``lines`` and fail, its pod with ``status``."""

    def act(job: str) -> None:
        pod = cluster.start_pod(job, "", *lines)
        cluster.set_pod(pod, phase="Failed", **status)
        cluster.end(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    cluster.on_submit = act


def exited(code: int, reason: str = "Error") -> dict[str, object]:
    state = {"terminated": {"exitCode": code, "reason": reason}}
    status = {"name": "node", "state": state, "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    return {"containerStatuses": [status]}


def test_a_job_runs_the_entry_point_on_the_runtime_gives_its_result_and_is_gone(
    cluster: Cluster, cluster_settings: Settings, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    finishes(cluster, "loading", '{"stage": "training", "done": 2, "total": 2, "loss": 2.0}')
    submitted: list[dict[str, object]] = []
    act = cluster.on_submit
    cluster.on_submit = lambda job: (submitted.append(cluster.jobs[job]["spec"]), act(job))[1]
    seen: list[tuple[str, int, int]] = []
    result = trainer.run(request_, lambda *event: seen.append(event))
    assert result.losses == (3.0, 2.0)
    assert ("training", 2, 2) in seen
    (spec,) = submitted
    assert spec["runtimeRef"] == {"kind": "ClusterTrainingRuntime", "name": "code-assistant-qlora"}
    assert spec["trainer"]["image"] == "code-assistant-trainer:0.1.0"
    assert spec["trainer"]["command"] == ["python", "-m"]
    assert spec["trainer"]["args"] == ["runtimes.fine_tune", *request_.arguments()]
    assert spec["activeDeadlineSeconds"] == cluster_settings.training.timeout_seconds
    assert cluster.deleted == [trainer.name_of(request_)]


def test_a_failed_job_raises_with_the_cause_from_its_log_and_stays_to_be_looked_at(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    fails(cluster, "loading", "error: /home/examples.jsonl holds no examples", **exited(2))
    with pytest.raises(OperationError, match=r"holds no examples; its pod .* exited with 2; .*backoff limit; it stays"):
        trainer.run(request_)
    assert cluster.deleted == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (exited(137, "OOMKilled"), r"took more memory than its limit \(OOMKilled\); raise cluster.train_job.compute.memory"),
        (exited(137), "was killed"),
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "Evicted: The node was low on resource"),
    ],
)
def test_a_pod_that_was_ended_is_told_with_the_reason(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest, status: dict[str, object], told: str
) -> None:
    fails(cluster, "step 3", **status)
    cluster.warn(f"{trainer.name_of(request_)}-node-0-0-abcde", "FailedMount", "volume is busy")
    cluster.warn("somebody-else", "BackOff", "not about this")
    with pytest.raises(OperationError, match=told) as caught:
        trainer.run(request_)
    assert "the cluster warned: FailedMount: volume is busy" in str(caught.value)
    assert "not about this" not in str(caught.value)


def test_what_a_job_waits_for_is_told_and_room_is_asked_for_once(
    cluster: Cluster, cluster_settings: Settings, request_: FineTuneRequest
) -> None:
    asked: list[str] = []

    def pend(job: str) -> None:
        pod = cluster.start_pod(job)
        unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPU}
        cluster.set_pod(pod, phase="Pending", conditions=[unscheduled])

    def make_room(job: str) -> None:
        asked.append(job)
        pod = cluster.pods[0]["metadata"]["name"]
        later(lambda: (cluster.set_pod(pod, phase="Succeeded"), cluster.end(job))[0])

    cluster.on_submit = pend
    told: list[str] = []
    trainer = ClusterTrainer(cluster_settings, 0.05, make_room)
    trainer.run(request_, lambda stage, *_: told.append(stage))
    assert asked == [trainer.name_of(request_)]
    assert [each for each in told if "gpu" in each] == [f"waits for 5 nvidia.com/gpu: {NO_GPU}"]


def test_a_job_that_does_not_start_is_given_up_with_the_reason(
    cluster: Cluster, cluster_settings: Settings, request_: FineTuneRequest
) -> None:
    cluster.warn(f"{ClusterTrainer(cluster_settings).name_of(request_)}-node-0", "FailedCreate", "exceeded quota: team")
    training = cluster_settings.training.model_copy(update={"pending_seconds": 1})
    trainer = ClusterTrainer(cluster_settings.model_copy(update={"training": training}), polling_seconds=0.05)
    with pytest.raises(OperationError, match="did not start within 1 s: waits for its pod: FailedCreate: exceeded quota"):
        trainer.run(request_)
    assert cluster.deleted == cluster.submitted


def test_no_line_is_lost_or_shown_twice_when_the_connection_breaks_and_the_pod_is_replaced(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    def lines(first: int, end: int) -> list[str]:
        return [json.dumps({"stage": "training", "done": step, "total": 40}) for step in range(first, end)]

    def act(job: str) -> None:
        first = cluster.start_pod(job, f"{job}-node-0-0-first", *lines(0, 9))
        cluster.cut_after[first] = 5

        def preempt() -> None:
            cluster.print(first, *lines(9, 20))
            cluster.set_pod(first, phase="Failed", reason="Preempting", message="for another pod")
            second = cluster.start_pod(job, f"{job}-node-0-0-second", *lines(20, 30))
            cluster.cut_after[second] = 3
            later(lambda: end(second), 1.3)  # after the reconnection

        def end(second: str) -> None:
            cluster.print(second, *lines(30, 40))
            cluster.set_pod(second, phase="Succeeded")
            cluster.end(job)

        later(preempt, 1.3)

    cluster.on_submit = act
    seen: list[int] = []
    trainer.run(request_, lambda stage, done, _: seen.append(done) if stage == "training" else None)
    assert sorted(seen) == list(range(40))
    assert len(cluster.submitted) == 1


def test_a_step_that_is_tried_again_finds_its_running_job(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    name = trainer.name_of(request_)
    cluster.jobs[name] = {"metadata": {"name": name}, "spec": {}}
    assert trainer.is_active(name)
    later(lambda: finish(cluster, name))
    assert trainer.run(request_).run_id == "r1"
    assert cluster.submitted == []


def finish(cluster: Cluster, name: str) -> None:
    cluster.set_pod(cluster.start_pod(name), phase="Succeeded")
    cluster.end(name)


def test_a_job_that_failed_before_is_replaced(cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest) -> None:
    name = trainer.name_of(request_)
    cluster.jobs[name] = {"metadata": {"name": name}, "spec": {}}
    cluster.end(name, "Failed")
    assert not trainer.is_active(name)
    finishes(cluster)
    trainer.run(request_)
    assert (cluster.submitted, cluster.deleted) == ([name], [name, name])


def test_a_job_that_failed_in_this_run_is_not_started_again(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_VARIABLE, "run-1")
    fails(cluster, "error: the examples are empty", **exited(2))
    for _ in range(2):
        with pytest.raises(OperationError, match="the examples are empty"):
            trainer.run(request_)
    assert len(cluster.submitted) == 1
    monkeypatch.setenv(RUN_VARIABLE, "run-2")
    finishes(cluster)
    trainer.run(request_)
    assert len(cluster.submitted) == 2


def test_a_job_that_is_going_is_waited_for_and_not_taken_for_the_new_one(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    name = trainer.name_of(request_)
    cluster.jobs[name] = {"metadata": {"name": name, "deletionTimestamp": "2026-11-20T10:00:00Z"}, "spec": {}}
    finishes(cluster)
    trainer.run(request_)
    assert cluster.submitted == [name]


def test_other_work_is_another_job(cluster_settings: Settings, trainer: ClusterTrainer, request_: FineTuneRequest) -> None:
    other = FineTuneRequest.of(cluster_settings, Path("/home/other.jsonl"), "base", request_.out)
    assert trainer.name_of(other) != trainer.name_of(request_)


def test_a_cancelled_run_deletes_its_job(cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest) -> None:
    cluster.on_submit = lambda job: cluster.start_pod(job) and later(lambda: os.kill(os.getpid(), signal.SIGTERM), 0.3)
    with pytest.raises(SystemExit):
        trainer.run(request_)
    assert cluster.deleted == cluster.submitted != []


def test_an_api_that_is_away_for_a_moment_is_asked_again(
    cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest
) -> None:
    def act(job: str) -> None:
        finish(cluster, job)
        cluster.away = 3

    cluster.on_submit = act
    assert trainer.run(request_).run_id == "r1"


def test_a_job_that_somebody_deletes_is_told(cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest) -> None:
    cluster.on_submit = lambda job: later(lambda: cluster.jobs.clear())
    with pytest.raises(OperationError, match="was deleted while it ran"):
        trainer.run(request_)


def test_a_missing_runtime_is_told_with_what_to_do(
    cluster: Cluster, cluster_settings: Settings, request_: FineTuneRequest
) -> None:
    elsewhere = cluster_settings.training.model_copy(update={"runtime": "other"})
    with pytest.raises(UnavailableError, match=r"runtime other .*404.*cia cluster doctor"):
        ClusterTrainer(cluster_settings.model_copy(update={"training": elsewhere})).run(request_)
    assert cluster.submitted == []


def test_a_right_that_is_missing_is_told(cluster: Cluster, trainer: ClusterTrainer, request_: FineTuneRequest) -> None:
    cluster.refuse_to_create = 403
    with pytest.raises(UnavailableError, match=r"403 Forbidden.*cia cluster doctor"):
        trainer.run(request_)
