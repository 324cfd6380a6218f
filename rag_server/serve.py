"""Runs the application on an address, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from cia.errors import OperationError
from cia.settings import Settings
from rag_server.access.first_administrator import NAME, ensure_administrator
from rag_server.access.users import Users
from rag_server.app import create_app
from rag_server.database import Database

SHUTDOWN_SECONDS = 5
"""Requests under way get this long to finish."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep an idle connection: else one sends a request just as we close it, and loses it."""


def run(settings: Settings, host: str | None = None, port: int | None = None, ready: Callable[[str], None] | None = None) -> None:
    """Serve until told to stop. ``ready`` gets the address once it answers; by default it is printed.

    ``host`` and ``port`` (0: a free one) default to the settings. Raises OperationError when the address cannot be used.
    """
    settings = settings.model_copy(update={"rag": settings.rag.model_copy(update={"host": host or settings.rag.host})})
    listener = _listen(settings.rag.host, settings.rag.port if port is None else port)

    def announce() -> None:
        # Made last, and only to be shown: a server that does not start leaves no key that nobody has seen.
        admin_key = _first_administrator(settings)
        (ready or _print_address)(_address(listener))
        if admin_key:
            _print_key(_address(listener), admin_key)

    if settings.rag.workers > 1:
        from rag_server.workers import serve_by_workers

        factory = _config("rag_server.workers:worker_application", factory=True, workers=settings.rag.workers)
        serve_by_workers(settings, factory, listener, announce)
    else:
        _Announcing(_config(create_app(settings)), announce).run(sockets=[listener])


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **more,
    )


def _first_administrator(settings: Settings) -> str | None:
    database = Database(settings)
    try:
        return ensure_administrator(settings.rag, Users(database))
    finally:
        database.close()


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise OperationError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host") from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _print_address(address: str) -> None:
    print(f"Code Intelligence Assistant at {address}", flush=True)


def _print_key(address: str, key: str) -> None:
    """The one time that the key is shown: it is stored as a hash, and goes into no log."""
    print(f'The administrator is called "{NAME}"; the API key, shown this once: {key}')
    print(f"Sign in at {address}/#key={key}", flush=True)
