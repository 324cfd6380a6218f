"""Requests that nobody would think of, made from the OpenAPI document: none breaks the server, and each reply is as declared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from cia.settings import Settings
from tests.rag_server.application import running_application
from tests.rag_server.running_server import Server

DECLARED = (content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance)
OPEN = {"/auth/token", "/auth/session", "/healthz", "/readyz", "/metrics"}
BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def application(indexed: Settings) -> Iterator[Server]:
    patient = indexed.rag.model_copy(update={"failed_logins": 1_000_000})
    with running_application(indexed.model_copy(update={"rag": patient})) as server:
        yield server


def operations(server: Server) -> Iterator[Any]:
    document: OpenApiSchema = schemathesis.openapi.from_dict(server.client.get("/openapi.json").json())
    yield from (found.ok() for found in document.get_all_operations())


def send(server: Server, case: schemathesis.Case) -> schemathesis.Response:
    arguments = case.as_transport_kwargs(base_url="http://127.0.0.1")
    for name in ("verify", "cert", "allow_redirects", "stream"):
        arguments.pop(name, None)
    reply = server.client.request(**arguments)
    return schemathesis.Response.from_any(reply)


@pytest.mark.parametrize("kind", schemathesis.GenerationMode)
def test_whatever_is_sent_the_reply_is_as_declared(application: Server, kind: schemathesis.GenerationMode) -> None:
    """Requests that fit the document, and requests that do not."""
    for operation in operations(application):

        @BOUNDED
        @given(case=operation.as_strategy(kind))
        def check(case: schemathesis.Case) -> None:
            reply = send(application, case)
            assert reply.status_code < 500, reply.text
            case.validate_response(reply, checks=DECLARED)

        with contextlib.suppress(Unsatisfiable):  # nothing is wrong for an operation that takes nothing
            check()


def test_without_a_credential_there_is_nothing_but_a_401(application: Server) -> None:
    nobody = application.acting_as(None)
    for operation in operations(application):

        @settings(BOUNDED, max_examples=4)
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            reply = send(nobody, case)
            closed = case.path not in OPEN or (case.path, case.method) == ("/auth/session", "DELETE")
            assert reply.status_code in (401, 403) if closed else reply.status_code < 500, reply.text
            case.validate_response(reply, checks=DECLARED)

        check()


def test_every_route_is_in_the_document_with_its_errors(application: Server) -> None:
    described = application.client.get("/openapi.json").json()
    assert {"/v1/ask", "/v1/search", "/v1/chat/completions", "/v1/feedback", "/v1/me"} <= set(described["paths"])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert {"401", "429", "503"} <= set(operation["responses"]), (method, path)
