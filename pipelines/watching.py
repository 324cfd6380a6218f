"""Runs on Kubeflow as a person wants to see them: the list, and one while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cia.errors import UnavailableError
from cia.settings import Settings
from pipelines.kubeflow import Kubeflow

Observer = Callable[[dict[str, Any]], None]
"""Gets announcements of steps as ``components.step`` writes them."""

STEPS = frozenset(
    {
        "fetch-corpus",
        "prepare-index",
        "index-code",
        "build-dataset",
        "fine-tune-llm",
        "evaluate-model",
        "register-model",
        "refresh-serving",
        "report-run",
    }
)
"""Tasks of ours; Kubeflow's own drivers and groups stand beside them."""
OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
LISTED = 20
POLLING_SECONDS = 3.0
AWAY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """``state`` is Kubeflow's word, lower case. ``decision`` is promoted, not promoted, or "" before there is one."""

    id: str
    name: str
    state: str
    decision: str
    age_seconds: float
    error: str
    address: str

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state.upper() in OVER


def list_runs(settings: Settings, experiment: str | None = None, limit: int = LISTED) -> list[RunStatus]:
    """Return the newest runs, the last first, of ``experiment`` (default: ``registry.experiment``). Raises as ``submit``."""
    kubeflow = Kubeflow(settings)
    of = kubeflow.experiment(experiment or settings.registry.experiment)
    with kubeflow.answering():
        listed = kubeflow.client.list_runs(page_size=limit, sort_by="created_at desc", experiment_id=of)
        # A list does not say what became of the tasks.
        return [_status(kubeflow, kubeflow.run(run.run_id)) for run in listed.runs or []]


def watch(
    settings: Settings,
    run: str,
    observe: Observer,
    said: Callable[[], Iterable[dict[str, Any]]] | None = None,
    polling_seconds: float = POLLING_SECONDS,
) -> RunStatus:
    """Return how ``run`` ended; until then ``observe`` is told what its steps do.

    ``said`` returns what the steps themselves have said since it was last asked; without it, only their states are told.
    Raises as ``submit``, UnavailableError only when the API is away for long.
    """
    kubeflow, story = Kubeflow(settings), _Story(observe, patient=said is not None)
    answered = time.monotonic()
    while True:
        for event in said() if said else ():
            story.tell(event)
        try:
            found = kubeflow.run(run)
            answered = time.monotonic()
        except UnavailableError:
            if time.monotonic() - answered > AWAY_SECONDS:
                raise
        else:
            status = _status(kubeflow, found)
            for task in _tasks(found):
                story.see(task)
            if status.over:
                for event in said() if said else ():
                    story.tell(event)
                return status
        time.sleep(polling_seconds)


class _Story:
    """Tells each end of a step once: in the step's own words if they come, else by its state."""

    def __init__(self, observe: Observer, patient: bool) -> None:
        self._observe, self._patient = observe, patient
        self._told: dict[str, str] = {}
        self._in_its_words: set[str] = set()
        self._looks: dict[str, int] = {}

    def tell(self, event: dict[str, Any]) -> None:
        if event["event"] in ("done", "failed"):
            self._in_its_words.add(event["cia_step"])
        self._observe(event)

    def see(self, task: Any) -> None:
        """Look at a task. A step's last words may come a little after its end."""
        step, state = task.display_name.replace("-", "_"), str(task.state)
        if state in OVER:
            self._looks[task.task_id] = looks = self._looks.get(task.task_id, 0) + 1
            if self._patient and looks < 3:
                return
        if self._told.get(task.task_id) == state or step in self._in_its_words:
            return
        self._told[task.task_id] = state
        if state == "RUNNING":
            self._observe({"cia_step": step, "event": "start"})
        elif state in ("SUCCEEDED", "FAILED", "CANCELED"):
            event, seconds = "done" if state == "SUCCEEDED" else "failed", _seconds(task)
            self._observe({"cia_step": step, "event": event, "summary": _why(task) or state.lower(), "seconds": seconds})


def _tasks(run: Any) -> list[Any]:
    details = run.run_details.task_details if run.run_details else None
    return [task for task in details or [] if task.display_name in STEPS]


def _status(kubeflow: Kubeflow, run: Any) -> RunStatus:
    states = {task.display_name: str(task.state) for task in _tasks(run)}
    created = run.created_at or datetime.now(UTC)
    failed = [f"{task.display_name}: {_why(task)}" for task in _tasks(run) if task.state == "FAILED" and _why(task)]
    error = " ".join((run.error.message or "").split()) if run.error else ""
    return RunStatus(
        id=str(run.run_id),
        name=str(run.display_name),
        state=str(run.state or "PENDING").lower(),
        decision=_decision(states),
        age_seconds=(datetime.now(UTC) - created).total_seconds(),
        error="; ".join(failed) or error,
        address=kubeflow.address_of(run.run_id),
    )


def _decision(states: Mapping[str, str]) -> str:
    """What the gate said: only a candidate that passed comes to `refresh_serving`."""
    if states.get("register-model") != "SUCCEEDED":
        return ""
    return "promoted" if states.get("refresh-serving") in ("RUNNING", "SUCCEEDED", "FAILED") else "not promoted"


def _why(task: Any) -> str:
    return " ".join((task.error.message or "").split()) if task.error else ""


def _seconds(task: Any) -> float:
    began = task.start_time or task.create_time
    return (task.end_time - began).total_seconds() if began and task.end_time else 0.0
