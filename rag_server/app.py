"""The HTTP application: parts, routes and what every request passes through."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from cia.settings import Settings
from rag_server.access.authentication import Authentication
from rag_server.body_limit import BodyLimit
from rag_server.errors import install_error_handlers
from rag_server.host_check import HostCheck
from rag_server.limits import Concurrency, RequestRate
from rag_server.mcp_server import install_mcp
from rag_server.openapi_document import complete_document
from rag_server.request_record import RequestRecord, json_log
from rag_server.routes import ask, auth, chat_completions, conversations, feedback, operations, search, sources
from rag_server.routes.page import install_pages
from rag_server.services import Services
from rag_server.tracing import Tracing

DESCRIPTION = "Answers questions about private code, with citations that are checked against the indexed files."


def create_app(settings: Settings, *, log: Any = None, tracing: Tracing | None = None) -> FastAPI:
    """Return the application for ``settings``. Its parts start and end with the application's lifespan.

    ``log`` is a structlog logger (default: JSON lines on stderr); ``tracing`` takes the place of what the settings say.
    """
    services = Services(settings, log or json_log(), tracing)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.start)
        try:
            async with mcp.running():
                yield
        finally:
            await run_in_threadpool(services.close)

    app = FastAPI(
        title="Code Intelligence Assistant",
        description=DESCRIPTION,
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    for room in (auth, ask, chat_completions, search, sources, conversations, feedback, operations):
        app.include_router(room.router)
    mcp = install_mcp(app, services)
    install_pages(app)
    install_error_handlers(app)
    complete_document(app)
    limits = services.limits
    # What is added last comes first: a request is recorded, its host, its size and its user are looked at, then it is counted.
    app.add_middleware(Concurrency, settings=settings.rag)
    app.add_middleware(RequestRate, store=limits.store, settings=settings.rag)
    app.add_middleware(Authentication, authenticator=services.authenticator, failed_logins=limits.failed_logins)
    app.add_middleware(BodyLimit, max_bytes=settings.rag.max_body_bytes)
    app.add_middleware(HostCheck, settings=settings.rag)
    app.add_middleware(RequestRecord, metrics=services.metrics, log=services.log)
    return app
