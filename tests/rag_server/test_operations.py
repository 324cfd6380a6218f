"""Probes cost nothing and tell the truth; the counters count what they say."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable

from cia.settings import Settings
from tests.rag_server.application import running_application
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.stand_in_model import StandInModel

NOBODY = "http://127.0.0.1:9/v1"


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def dependency(server: Server, name: str) -> dict[str, str]:
    document = server.client.get("/readyz").json()
    return next(one for one in document["dependencies"] if one["name"] == name)


def test_a_server_with_an_index_is_ready_even_without_a_model(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_model(indexed, NOBODY))
    assert wait_for(lambda: dependency(server, "model")["state"] == "away")
    reply = server.client.get("/readyz")
    assert (reply.status_code, reply.json()["ready"]) == (200, True)
    assert NOBODY in dependency(server, "model")["detail"]
    assert server.metric('cia_dependency_up{dependency="model"}') == 0
    assert server.metric('cia_dependency_up{dependency="index"}') == 1


def test_a_server_without_an_index_is_alive_and_not_ready(start: Callable[..., Server], settings: Settings) -> None:
    server = start(settings)
    assert server.client.get("/healthz").status_code == 200
    reply = server.client.get("/readyz")
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0


def test_probing_asks_no_neighbour(
    start: Callable[..., Server], indexed: Settings, monkeypatch, stand_in_model: StandInModel
) -> None:
    server = start(with_model(indexed, stand_in_model.base_url))
    services = server.client.app.state.services
    monkeypatch.setattr(services.retriever, "repositories", lambda: 1 / 0)
    services.health.stop()
    services.adapters.stop()
    for _ in range(20):
        server.client.get("/readyz")
    assert stand_in_model.asked == []
    assert dependency(server, "index")["state"] == "ok"


def test_who_answers_is_told(start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel) -> None:
    server = start(with_model(indexed, stand_in_model.base_url))
    assert wait_for(lambda: server.client.get("/model/info").json()["mode"] == "llm")
    assert server.client.get("/model/info").json()["model"] == "code-assistant-base"
    alone = start(indexed).client.get("/model/info").json()
    assert (alone["mode"], alone["model"], alone["adapter"]) == ("extractive", "none", None)


def test_requests_are_counted_by_route_and_never_by_path(server: Server) -> None:
    for path in ("/v1/sources/lantern/src/wick.py", "/v1/sources/lantern/README.md", "/admin.php", "/wp-login"):
        server.client.get(path)
    assert server.metric('cia_requests_total{code="200",route="/v1/sources/{repo}/{path}"}') == 2
    assert server.metric('cia_requests_total{code="404",route="unmatched"}') == 2
    assert "php" not in server.client.get("/metrics").text


def test_answers_citations_and_abstentions_are_counted(server: Server) -> None:
    cited = server.ask("How is a wick trimmed?").json()["citations"]
    declined = server.ask("Which planets have rings of quartz and helium?").json()
    assert server.metric('cia_answers_total{mode="extractive"}') == 2
    assert server.metric('cia_citations_total{outcome="emitted"}') == len(cited) + len(declined["citations"])
    assert server.metric("cia_abstentions_total") == declined["abstained"] == 1
    assert server.metric("cia_retrieval_seconds_count") == 2
    assert server.metric('cia_generation_seconds_count{mode="extractive"}') == 2


def test_the_age_of_the_index_is_told_and_no_name_of_a_repository(server: Server) -> None:
    assert server.metric("cia_index_repositories") == 1
    assert time.time() - 3600 < server.metric("cia_index_oldest_timestamp_seconds") <= time.time()
    assert "lantern" not in server.client.get("/metrics").text


def test_a_neighbour_that_was_never_asked_for_is_not_reported_missing(server: Server) -> None:
    reported = [line for line in server.client.get("/metrics").text.splitlines() if line.startswith("cia_dependency_up")]
    assert reported == ['cia_dependency_up{dependency="index"} 1.0']


def test_two_applications_do_not_share_their_counters(start: Callable[..., Server], indexed: Settings) -> None:
    first, second = start(indexed), start(indexed)
    first.ask("How is a wick trimmed?")
    assert second.metric('cia_answers_total{mode="extractive"}') == 0


def test_an_application_that_has_ended_is_held_by_nobody(indexed: Settings) -> None:
    with running_application(indexed) as server:
        services = weakref.ref(server.client.app.state.services)
    del server

    def let_go() -> bool:
        gc.collect()
        return services() is None

    # The event loop's worker threads hold what they ran last until they end, a moment after the loop.
    assert wait_for(let_go)
