"""`cia serve` says where it is, takes a free port, and says why when it cannot."""

from __future__ import annotations

import socket

import httpx
import pytest

from cia.errors import OperationError
from cia.settings import Settings
from rag_server.serve import run
from tests.rag_server.running_server import served


def test_the_printed_address_answers_on_the_loopback_interface(indexed: Settings) -> None:
    with served(indexed) as address:
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{address}/readyz").status_code == 200


def test_a_port_that_is_taken_is_named(indexed: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OperationError, match=f"127.0.0.1:{port}"):
            run(indexed, port=port)


def test_a_host_that_does_not_exist_is_named(indexed: Settings) -> None:
    with pytest.raises(OperationError, match=r"nowhere\.invalid"):
        run(indexed, host="nowhere.invalid", port=0)
