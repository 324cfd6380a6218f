"""A stand-in for the Kubernetes API that speaks HTTP: one runtime, TrainJobs, their pods, logs that can be followed, and events.

It has no controllers: a test says what becomes of a job, now or from a thread of its own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
JOBS = f"{TRAINER}/namespaces/code-assistant/trainjobs"
CORE = "/api/v1/namespaces/code-assistant"


class Cluster(ThreadingHTTPServer):
    """``submitted`` and ``deleted`` name jobs; ``away`` is how many requests from now on get status 503."""

    daemon_threads = True

    def __init__(self, runtime: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runtime = runtime
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.logs: dict[str, list[str]] = {}
        self.submitted: list[str] = []
        self.deleted: list[str] = []
        self.away = 0
        self.refuse_to_create = 0
        self.cut_after: dict[str, int] = {}
        self.on_submit: Callable[[str], None] = lambda name: None

    def start_pod(self, job: str, pod: str = "", *lines: str) -> str:
        """Have a pod of ``job`` run that has printed ``lines``."""
        name = pod or f"{job}-node-0-0-abcde"
        self.logs[name] = []
        self.print(name, *lines)
        limits = {"nvidia.com/gpu": "5", "memory": "32Gi"}
        labels = {"jobset.sigs.k8s.io/jobset-name": job, "jobset.sigs.k8s.io/replicatedjob-name": "node"}
        stamp = f"2026-11-20T10:00:{len(self.pods):02d}Z"
        container = {"name": "node", "image": "trainer", "resources": {"limits": limits}}
        self.pods.append(
            {
                "metadata": {"name": name, "labels": labels, "creationTimestamp": stamp},
                "spec": {"containers": [container]},
                "status": {"phase": "Running"},
            }
        )
        return name

    def print(self, pod: str, *lines: str) -> None:
        """Append to a pod's log, each line with a time of its own except where one is repeated."""
        for line in lines:
            second, nanosecond = divmod(len(self.logs[pod]) // 2 * 100_000_000, 10**9)  # two lines share each time
            self.logs[pod].append(f"2026-11-20T10:01:{second:02d}.{nanosecond:09d}Z {line}")

    def set_pod(self, pod: str, **status: Any) -> None:
        """Give a pod another status."""
        next(each for each in self.pods if each["metadata"]["name"] == pod)["status"] = status

    def end(self, job: str, kind: str = "Complete", reason: str = "", message: str = "") -> None:
        """Have the job's controller say that it ended."""
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        condition["lastTransitionTime"] = "2026-11-20T10:00:09Z"
        self.jobs[job]["status"] = {"conditions": [condition]}

    def warn(self, about: str, reason: str, message: str) -> None:
        """Record an event of type Warning."""
        involved = {"kind": "Pod", "name": about, "namespace": "code-assistant"}
        event = {"metadata": {"name": f"event-{len(self.events)}"}, "involvedObject": involved, "type": "Warning"}
        stamp = f"2026-11-20T10:00:{len(self.events):02d}Z"
        self.events.append({**event, "reason": reason, "message": message, "lastTimestamp": stamp})


class Handler(BaseHTTPRequestHandler):
    server: Cluster

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = job["metadata"]["name"]
        if self.server.refuse_to_create or name in self.server.jobs:
            self.fail(self.server.refuse_to_create or 409)
            return
        job["metadata"] |= {"namespace": "code-assistant", "creationTimestamp": "2026-11-20T10:00:00Z"}
        self.server.jobs[name] = job
        self.server.submitted.append(name)
        self.reply(201, job)
        self.server.on_submit(name)

    def do_DELETE(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        if self.server.jobs.pop(name, None) is None:
            self.fail(404)
            return
        self.server.deleted.append(name)
        self.server.pods = []
        self.reply(200, {"kind": "Status", "status": "Success"})

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        cluster = self.server
        if cluster.away:
            cluster.away -= 1
            self.fail(503)
        elif path == f"{TRAINER}/clustertrainingruntimes/code-assistant-qlora":
            self.reply(200, cluster.runtime)
        elif path.startswith(f"{JOBS}/") and (job := cluster.jobs.get(path.rpartition("/")[2])):
            self.reply(200, job)
        elif path == f"{CORE}/pods":
            self.reply(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": cluster.pods})
        elif path == f"{CORE}/events":
            self.reply(200, {"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": cluster.events})
        elif path.endswith("/log"):
            self.log(path.split("/")[-2], follow="follow=True" in query)
        else:
            self.fail(404)

    def log(self, pod: str, follow: bool) -> None:
        if pod not in self.server.logs:
            self.fail(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        sent = 0
        while True:
            lines = self.server.logs[pod]
            while sent < len(lines):
                if follow and self.server.cut_after.get(pod) == sent:
                    del self.server.cut_after[pod]
                    self.wfile.write(lines[sent][:30].encode())  # half a line, then the connection is gone
                    return
                self.wfile.write(f"{lines[sent]}\n".encode())
                sent += 1
            phases = {each["metadata"]["name"]: each["status"]["phase"] for each in self.server.pods}
            if not follow or phases.get(pod) != "Running":
                return
            self.wfile.flush()
            time.sleep(0.01)

    def fail(self, code: int) -> None:
        self.reply(code, {"kind": "Status", "status": "Failure", "code": code})

    def reply(self, code: int, content: Any) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def later(do: Callable[[], None], seconds: float = 0.15) -> None:
    """Have ``do`` happen in a moment, while the test waits for something else."""
    threading.Timer(seconds, do).start()
