"""A stand-in for the Kubeflow Pipelines API, version v2beta1, that speaks HTTP. A test says what becomes of a run."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = "/apis/v2beta1"
STARTED = "2026-11-20T10:00:00Z"
ENDED = "2026-11-20T10:01:30Z"


class KubeflowPipelines(ThreadingHTTPServer):
    """``refuse`` maps a path to a status; ``on_look`` is called before each answer about a run."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.multi_user = True
        self.token = ""
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.refuse: dict[str, tuple[int, str]] = {}
        self.on_look: Callable[[dict[str, Any]], None] = lambda run: None

    def add_run(self, name: str, experiment: str = "code-assistant") -> dict[str, Any]:
        """Have a run in ``experiment`` and return it."""
        self.experiments.setdefault(experiment, {"experiment_id": experiment, "display_name": experiment})
        run = {"run_id": name, "display_name": name, "experiment_id": experiment, "state": "RUNNING", "created_at": STARTED}
        return self.runs.setdefault(name, run | {"run_details": {"task_details": []}})

    def set_task(self, run: dict[str, Any], name: str, state: str, error: str = "") -> None:
        """Have a task of ``run`` be in ``state``."""
        task = {"task_id": name, "display_name": name, "state": state, "create_time": STARTED, "start_time": STARTED}
        if state in ("SUCCEEDED", "FAILED"):
            task["end_time"] = ENDED
        tasks = run["run_details"]["task_details"]
        tasks[:] = [each for each in tasks if each["task_id"] != name]
        tasks.append(task | ({"error": {"code": 2, "message": error}} if error else {}))


@contextmanager
def kubeflow_pipelines() -> Iterator[KubeflowPipelines]:
    """Serve until the block ends."""
    server = KubeflowPipelines()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Handler(BaseHTTPRequestHandler):
    server: KubeflowPipelines

    def do_GET(self) -> None:
        path, query = self.path_and_query()
        if self.refused(path):
            return
        kubeflow = self.server
        if path == "/healthz":
            self.reply({"multi_user": kubeflow.multi_user})
        elif path == "/experiments":
            self.reply({"experiments": self.matching(kubeflow.experiments, query)})
        elif path == "/recurringruns":
            self.reply({"recurringRuns": self.matching(kubeflow.recurring, query)})
        elif path == "/runs":
            of = [run for run in kubeflow.runs.values() if run["experiment_id"] == query["experiment_id"]]
            self.reply({"runs": [{**run, "run_details": None} for run in reversed(of)]})
        elif path.startswith("/runs/") and (run := kubeflow.runs.get(path.rpartition("/")[2])):
            kubeflow.on_look(run)
            self.reply(run)
        else:
            self.fail(404, f"{path} not found")

    def do_POST(self) -> None:
        path, _ = self.path_and_query()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "null")
        if self.refused(path):
            return
        kubeflow, made = self.server, str(uuid.uuid4())
        if path == "/experiments":
            if bool(body.get("namespace")) != kubeflow.multi_user:
                self.fail(400, "In single-user mode, CreateExperimentRequest cannot contain a namespace")
                return
            self.reply(kubeflow.experiments.setdefault(made, body | {"experiment_id": made}))
        elif path == "/runs":
            state = {"run_id": made, "state": "PENDING", "created_at": STARTED, "run_details": {"task_details": []}}
            self.reply(kubeflow.runs.setdefault(made, body | state))
        elif path == "/recurringruns":
            self.reply(kubeflow.recurring.setdefault(made, body | {"recurring_run_id": made}))
        elif path.endswith(":terminate") and (run := kubeflow.runs.get(path[len("/runs/") : -len(":terminate")])):
            run["state"] = "CANCELING"
            self.reply({})
        else:
            self.fail(404, f"{path} not found")

    def do_DELETE(self) -> None:
        path, _ = self.path_and_query()
        self.server.recurring.pop(path.rpartition("/")[2])
        self.reply({})

    def matching(self, known: dict[str, dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        (wanted,) = json.loads(query["filter"])["predicates"]
        return [one for one in known.values() if one[wanted["key"]] == wanted["stringValue"]]

    def refused(self, path: str) -> bool:
        if self.server.token and self.headers.get("authorization") != f"Bearer {self.server.token}":
            self.fail(401, "who are you?")
            return True
        if refusal := self.server.refuse.get(path):
            self.fail(*refusal)
        return refusal is not None

    def path_and_query(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).removeprefix(API), {key: values[0] for key, values in parse_qs(parts.query).items()}

    def fail(self, status: int, message: str) -> None:
        said = f"Failed to do it: Validate failed: rpc error: code = InvalidArgument desc = {message}"
        self.reply({"error": said, "code": 3, "message": said}, status)

    def reply(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
