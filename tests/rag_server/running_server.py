"""A server under test: in this process, with what it logged, or in one of its own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from structlog.testing import CapturingLogger

from cia.settings import Settings
from cli.running_server import running_server
from rag_server.access.api_keys import new_key, stored_form
from rag_server.access.users import Users
from rag_server.database import Database

ADMIN_KEY = "cia_0123456789abcdef_the-key-of-the-administrator-in-every-test"
"""Every server under test knows it. It reads every repository."""

AS_ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
UNHURRIED = {"CIA_RAG__RATE_LIMIT": "100000", "CIA_RAG__HEALTH_RATE_LIMIT": "100000"}
"""What a server is told whose requests a test does not count."""


def with_model(settings: Settings, base_url: str, **changes: Any) -> Settings:
    """The same settings with a model that writes at ``base_url``."""
    model = settings.model.model_copy(update={"base_url": base_url, "timeout_seconds": 5.0, "form": "prose", **changes})
    answering = settings.answering.model_copy(update={"use_base_model": True})
    return settings.model_copy(update={"model": model, "answering": answering})


def with_rag(settings: Settings, **changes: Any) -> Settings:
    """The same settings with others for the server."""
    return settings.model_copy(update={"rag": settings.rag.model_copy(update=changes)})


@contextlib.contextmanager
def users_of(settings: Settings) -> Iterator[Users]:
    """The store of users, as the command line opens it beside a running server."""
    with contextlib.closing(Database(settings)) as database:
        yield Users(database)


def with_administrator(settings: Settings) -> Settings:
    """The same settings, once their home knows ``ADMIN_KEY``."""
    with users_of(settings) as users:
        if not users.has_administrator():
            users.add("admin", is_admin=True, key=stored_form(ADMIN_KEY))
    return settings


def add_user(settings: Settings, name: str, *repos: str) -> str:
    """Add a user who may read ``repos``, and return the API key."""
    key, stored = new_key()
    with users_of(settings) as users:
        users.add(name, repos, key=stored)
    return key


@dataclass
class Server:
    """A running application, its requests, and what it logged."""

    client: TestClient
    captured: CapturingLogger

    def acting_as(self, key: str | None) -> Server:
        """The same application, asked with another credential; None: with none."""
        client = TestClient(self.client.app, base_url=str(self.client.base_url), raise_server_exceptions=False)
        client.portal = self.client.portal  # the loop of the running application, whose limits and streams live there
        if key is not None:
            client.headers["Authorization"] = f"Bearer {key}"
        return Server(client, self.captured)

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
    """Run ``cia serve`` on a free port as its own process, which knows ``ADMIN_KEY``; yield its address."""
    with running_server(with_administrator(settings), environment={**UNHURRIED, **environment}) as server:
        yield server.address
