"""An application in this process for as long as a test wants it: the fixture ``start`` ends it with the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import structlog
from fastapi.testclient import TestClient
from structlog.testing import CapturingLogger

from cia.settings import Settings
from rag_server.app import create_app
from tests.rag_server.running_server import AS_ADMIN, Server, with_administrator


@contextlib.contextmanager
def running_application(settings: Settings, **options: Any) -> Iterator[Server]:
    captured = CapturingLogger()
    log = structlog.wrap_logger(captured, processors=[structlog.processors.JSONRenderer()])
    app = create_app(with_administrator(settings), log=log, **options)
    with TestClient(app, base_url="http://127.0.0.1", headers=AS_ADMIN, raise_server_exceptions=False) as client:
        yield Server(client, captured)
