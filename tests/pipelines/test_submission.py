"""Submitting, scheduling and watching with the real KFP client, against a stand-in for its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from cia.errors import AccessError, InputError, UnavailableError
from cia.settings import Settings, load_settings
from pipelines import cancel, list_runs, schedule_index, submit, unschedule_index, watch_run
from pipelines.step_logs import StepLogs
from tests.pipelines.stand_in_kubeflow import KubeflowPipelines, kubeflow_pipelines


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One registry for all tests: to make its tables takes longer than they do."""
    return tmp_path_factory.mktemp("submission")


@pytest.fixture
def kubeflow() -> Iterator[KubeflowPipelines]:
    with kubeflow_pipelines() as server:
        yield server


@pytest.fixture
def settings(home: Path, kubeflow: KubeflowPipelines) -> Settings:
    return load_settings(environment={"CIA_HOME": str(home), "CIA_PIPELINE__HOST": kubeflow.address})


def changed(settings: Settings, **pipeline: Any) -> Settings:
    return settings.model_copy(update={"pipeline": settings.pipeline.model_copy(update=pipeline)})


def test_a_run_takes_its_parameters_its_account_and_its_namespace_along(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    training = settings.training.model_copy(update={"steps": 200})
    submitted = submit(settings.model_copy(update={"training": training}), run_name="longer", experiment="tries")
    (run,) = kubeflow.runs.values()
    assert (submitted.id, submitted.name) == (run["run_id"], "longer")
    assert submitted.address == f"{kubeflow.address}/#/runs/details/{run['run_id']}"
    assert run["runtime_config"]["parameters"]["training"]["steps"] == 200
    assert run["service_account"] == "code-assistant-pipeline"
    components = run["pipeline_spec"]["pipeline_spec"]["components"].values()
    every = {name: task for part in components for name, task in part.get("dag", {}).get("tasks", {}).items()}
    cached = {name for name, task in every.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert cached == {"build-dataset", "fine-tune-llm", "evaluate-model"}
    (experiment,) = kubeflow.experiments.values()
    assert (experiment["display_name"], experiment["namespace"]) == ("tries", "code-assistant")
    assert run["experiment_id"] == experiment["experiment_id"]


def test_a_pipelines_of_a_single_user_is_given_no_namespace(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    kubeflow.multi_user = False
    submit(settings)
    (experiment,) = kubeflow.experiments.values()
    assert not experiment.get("namespace")


def test_a_token_is_taken_from_the_variable_that_the_settings_name(
    kubeflow: KubeflowPipelines, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeflow.token = "the-token"
    kubeflow.add_run("run-1")
    with pytest.raises(AccessError, match=r"401.*set KFP_TOKEN"):
        list_runs(settings)
    monkeypatch.setenv("KFP_TOKEN", "the-token")
    assert len(list_runs(settings)) == 1


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, InputError, "does not take this .400: no such field"),
        (403, AccessError, "refuses .403: no such field"),
        (503, UnavailableError, "try again"),
    ],
)
def test_what_the_api_refuses_is_told_in_a_sentence(
    kubeflow: KubeflowPipelines, settings: Settings, status: int, kind: type[Exception], told: str
) -> None:
    kubeflow.add_run("run-1")
    kubeflow.refuse["/runs"] = (status, "no such field")
    with pytest.raises(kind, match=told):
        list_runs(settings)


def test_an_address_where_nothing_answers_is_told(settings: Settings) -> None:
    with pytest.raises(
        UnavailableError, match=r"no Kubeflow Pipelines API answers at http://127\.0\.0\.1:9.*check pipeline.host"
    ):
        submit(changed(settings, host="http://127.0.0.1:9"))


def test_an_experiment_or_a_run_that_is_not_there_is_told(settings: Settings) -> None:
    with pytest.raises(InputError, match="no experiment 'nobody'"):
        list_runs(settings, "nobody")
    with pytest.raises(InputError, match="no run 'nobody'"):
        cancel(settings, "nobody")


def test_a_schedule_is_made_once_and_changed_when_something_else_is_asked_for(
    kubeflow: KubeflowPipelines, settings: Settings
) -> None:
    assert schedule_index(settings).change == "created"
    assert schedule_index(settings).change == "unchanged"
    assert schedule_index(settings, "0 0 * * * *").change == "changed"
    (recurring,) = kubeflow.recurring.values()
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 0 * * * *"
    assert recurring["no_catchup"]
    other = settings.corpus.model_copy(update={"sources": ["pypi:click==8.3.3"]})
    assert schedule_index(settings.model_copy(update={"corpus": other}), "0 0 * * * *").change == "changed"
    (recurring,) = kubeflow.recurring.values()
    assert recurring["runtime_config"]["parameters"]["sources"] == ["pypi:click==8.3.3"]
    assert unschedule_index(settings).change == "deleted"
    assert unschedule_index(settings).change == "absent"
    assert kubeflow.recurring == {}


def test_of_two_schedules_that_a_kill_left_one_is_kept(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    kept = schedule_index(settings).id
    kubeflow.recurring["older"] = {**kubeflow.recurring[kept], "recurring_run_id": "older", "description": "another"}
    assert schedule_index(settings).id == kept
    assert list(kubeflow.recurring) == [kept]


def test_runs_are_listed_with_what_the_gate_decided(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    for name, tasks in {
        "first": {"register-model": "SUCCEEDED", "refresh-serving": "SUCCEEDED"},
        "second": {"register-model": "SUCCEEDED", "passed-the-gate": "SKIPPED"},
        "third": {"fetch-corpus": "FAILED"},
    }.items():
        run = kubeflow.add_run(name)
        run["state"] = "FAILED" if name == "third" else "SUCCEEDED"
        for task, state in tasks.items():
            kubeflow.set_task(run, task, state, "no such host" if state == "FAILED" else "")
    listed = list_runs(settings)
    assert [(run.name, run.state, run.decision) for run in listed] == [
        ("third", "failed", ""),
        ("second", "succeeded", "not promoted"),
        ("first", "succeeded", "promoted"),
    ]
    assert listed[0].error == "fetch-corpus: no such host"


def test_a_run_that_is_watched_tells_each_end_once(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    kubeflow.add_run("run-1")
    looks = iter([("RUNNING", "RUNNING"), ("SUCCEEDED", "RUNNING"), ("SUCCEEDED", "RUNNING"), ("SUCCEEDED", "SUCCEEDED")])

    def go_on(run: dict[str, Any]) -> None:
        task, run["state"] = next(looks)
        kubeflow.set_task(run, "fetch-corpus", task)
        kubeflow.set_task(run, "fetch-corpus-driver", "SUCCEEDED")

    kubeflow.on_look = go_on
    told: list[dict[str, Any]] = []
    ended = watch_run(settings, "run-1", told.append, polling_seconds=0.01)
    assert ended.state == "succeeded"
    assert told == [
        {"cia_step": "fetch_corpus", "event": "start"},
        {"cia_step": "fetch_corpus", "event": "done", "summary": "succeeded", "seconds": 90.0},
    ]


def test_a_step_s_own_words_stand_for_its_state(kubeflow: KubeflowPipelines, settings: Settings) -> None:
    kubeflow.add_run("run-1")
    looks = iter(["RUNNING"] * 4 + ["SUCCEEDED"])

    def go_on(run: dict[str, Any]) -> None:
        run["state"] = next(looks)
        kubeflow.set_task(run, "fetch-corpus", "SUCCEEDED")

    kubeflow.on_look = go_on
    words = iter([[], [{"cia_step": "fetch_corpus", "event": "done", "summary": "httpx at 1234", "seconds": 2.0}]])
    told: list[dict[str, Any]] = []
    watch_run(settings, "run-1", told.append, said=lambda: next(words, []), polling_seconds=0.01)
    assert [event["summary"] for event in told] == ["httpx at 1234"]


def test_the_words_of_steps_are_read_from_their_pods() -> None:
    class Core:
        """Pods and their logs as the Kubernetes client gives them."""

        def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
            assert (namespace, label_selector) == ("ns", "pipeline/runid=run-1,app.kubernetes.io/part-of=code-assistant")
            status = client.V1PodStatus(phase="Succeeded")
            return client.V1PodList(items=[client.V1Pod(metadata=client.V1ObjectMeta(name="pod"), status=status)])

        def read_namespaced_pod_log(self, pod: str, namespace: str, container: str, **_: Any) -> Any:
            assert (pod, namespace, container) == ("pod", "ns", "main")
            return Response()

    class Response:
        def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
            event = json.dumps({"cia_step": "fetch_corpus", "event": "start"})
            yield f"2026-11-20T10:00:00.1Z I1120 launcher\n2026-11-20T10:00:00.2Z     {event}\n".encode()

        def close(self) -> None:
            """Nothing is open."""

    logs = StepLogs(Core(), "ns", "run-1")
    events = logs() + [event for _ in range(100) for event in logs()]
    for follower in logs._logs._followers.values():
        follower.thread.join(5)
    assert [*events, *logs()] == [{"cia_step": "fetch_corpus", "event": "start"}]
