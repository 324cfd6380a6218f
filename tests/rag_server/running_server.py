"""A server under test: in this process, with what it logged, or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from structlog.testing import CapturingLogger

from cia.leash import Leashed
from cia.settings import Settings


def with_model(settings: Settings, base_url: str, **changes: Any) -> Settings:
    """The same settings with a model at ``base_url``."""
    model = settings.model.model_copy(update={"base_url": base_url, "timeout_seconds": 5.0, **changes})
    answering = settings.answering.model_copy(update={"use_base_model": True})
    return settings.model_copy(update={"model": model, "answering": answering})


@dataclass
class Server:
    """A running application, its requests, and what it logged."""

    client: TestClient
    captured: CapturingLogger

    @property
    def log(self) -> list[dict[str, Any]]:
        return [{"level": call.method_name, **json.loads(call.args[0])} for call in self.captured.calls]

    def metric(self, line: str) -> float:
        """The value behind ``line``, such as ``cia_answers_total{mode="llm"}``."""
        text = self.client.get("/metrics").text
        return next((float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(line + " ")), 0.0)

    def ask(self, question: str, **fields: Any) -> Any:
        return self.client.post("/v1/ask", json={"question": question, **fields})

    def events(self, question: str, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
        reply = self.ask(question, stream=True, **fields)
        assert reply.headers["content-type"].startswith("text/event-stream"), reply.text
        return parse_events(reply.text)


def parse_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


@contextlib.contextmanager
def served(settings: Settings, **environment: str) -> Iterator[str]:
    """Run ``cia serve`` on a free port as its own process; yield its address."""
    log = settings.home / "logs" / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, "CIA_HOME": str(settings.home), **environment}
    with log.open("wb") as errors:
        process = Leashed(
            [sys.executable, "-m", "cli.main", "serve", "--port", "0"],
            environment=variables,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.process.stdout is not None
        line = process.process.stdout.readline().decode()
        assert "http://" in line, log.read_text()
        yield line.split()[-1]
    finally:
        process.stop()
