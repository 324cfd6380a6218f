"""Orders in code, names, questions and conversations, against a model that obeys them all: what the server still guarantees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cia.settings import TracingSettings, load_settings
from rag_server.tracing import Tracing
from tests.rag_server.application import running_application
from tests.rag_server.running_server import UNHURRIED, Server, add_user, with_model
from tests.rag_server.scripted_model import ScriptedModel, Wire, running_script
from tests.rag_server.security.attacked import ODD_REPOSITORY, SECRETS, VAULT_CANARIES, index_all
from tests.rag_server.security.attacks import ATTACKS, Attack
from tests.rag_server.security.guarantees import ANSWER_FIELDS, Corpus, Reply, leaks, without_what_differs
from tests.rag_server.security.obedience import PRIVILEGED, disguises, obey
from tests.rag_server.security.ways_in import WAYS, call_tool

ROSES = "How are the roses watered by water_roses?"


def obedient(wire: Wire) -> None:
    said = obey(wire.prompt)
    wire.say(said, piece_length=max(11, len(said) // 40))


@dataclass
class Siege:
    """A server, its attacked user, a user who looks on, and what came of each attack."""

    attacked: Server
    bystander: Server
    model: ScriptedModel
    corpus: Corpus
    spans: InMemorySpanExporter
    tracing: Tracing
    before: str = ""
    outcomes: dict[tuple[str, str], tuple[Reply, list[str]]] = field(default_factory=dict)

    def outcome(self, attack: Attack, way: str) -> tuple[Reply, list[str]]:
        """Return the reply to ``attack`` by ``way``, and what the model was shown for it. Each is asked for once."""
        if (attack.name, way) not in self.outcomes:
            self.model.prompts.clear()
            reply = WAYS[way](self.attacked, question_of(attack), attack)
            self.outcomes[attack.name, way] = reply, list(self.model.prompts)
        return self.outcomes[attack.name, way]

    def roses(self) -> str:
        """Return what the user who looks on is answered."""
        return without_what_differs(self.bystander.ask(ROSES).json())


def question_of(attack: Attack) -> str:
    """Return the question of the attacked user; a document among so much code is named by its path."""
    folder = {"readme": f"path:docs/{attack.name} ", "config": f"path:settings/{attack.name}.yaml "}.get(attack.place, "")
    if attack.place == "repository name":
        folder = f"repo:{ODD_REPOSITORY} "
    asked = f"{folder}What does {attack.function} return?"
    return f"{asked} {attack.text}" if attack.place == "question" else asked


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("siege")
    environment = {"CIA_HOME": str(folder / "home"), "CIA_RAG__DAILY_TOKENS": "1000000000", **UNHURRIED}
    settings = load_settings(environment=environment)
    files = index_all(folder, settings)
    mine = frozenset({"workshop", ODD_REPOSITORY})
    keys = add_user(settings, "attacked", *mine), add_user(settings, "bystander", "garden")
    spans = InMemorySpanExporter()
    with pytest.MonkeyPatch.context() as patch, running_script(obedient) as model:
        patch.setenv("LANGFUSE_PUBLIC_KEY", "pk-siege")  # the SDK keeps one client for each
        patch.setenv("LANGFUSE_SECRET_KEY", "sk-test")
        tracing = Tracing(TracingSettings(), spans)
        settings = with_model(settings, model.base_url, context_tokens=2500, answer_tokens=500)
        answering = settings.answering.model_copy(update={"context_chunks": 2})
        settings = settings.model_copy(update={"answering": answering})
        with running_application(settings, tracing=tracing) as server:
            attacked, bystander = (server.acting_as(key) for key in keys)
            siege = Siege(attacked, bystander, model, Corpus(files, mine), spans, tracing)
            siege.before = siege.roses()
            yield siege


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("way", ["ask", "stream", "chat stream"])
def test_an_attack_gains_nothing(siege: Siege, attack: Attack, way: str) -> None:
    reply, prompts = siege.outcome(attack, way)
    assert siege.corpus.violations(reply, prompts) == []
    assert PRIVILEGED not in reply.raw
    if way == "ask":
        assert set(reply.document) == ANSWER_FIELDS


@pytest.mark.parametrize("attack", ATTACKS[::5], ids=lambda attack: attack.name)
@pytest.mark.parametrize("way", ["chat", "mcp"])
def test_nor_by_the_ways_that_end_in_the_same_answer(siege: Siege, attack: Attack, way: str) -> None:
    reply, prompts = siege.outcome(attack, way)
    assert siege.corpus.violations(reply, prompts) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_was_a_real_attack(siege: Siege, attack: Attack) -> None:
    _, prompts = siege.outcome(attack, "chat" if attack.place == "system message" else "ask")
    assert prompts, "the model was never asked"
    assert (attack.heard in obey(prompts[-1])) != attack.kept_out


def test_there_are_enough_attacks_and_in_every_place() -> None:
    assert len(ATTACKS) == len({attack.name for attack in ATTACKS}) >= 60
    assert {attack.place for attack in ATTACKS} >= {"comment", "readme", "file name", "question", "history", "system message"}
    assert all(attack.wants for attack in ATTACKS)


def test_nobody_else_is_answered_otherwise(siege: Siege) -> None:
    for attack in ATTACKS:
        siege.outcome(attack, "ask")
    assert siege.roses() == siege.before
    assert "garden/roses.py:1-3" in siege.before


def test_no_secret_is_searched_out_read_or_recited(siege: Siege) -> None:
    client = siege.attacked.client
    for query in ("deploy_everything", "password", *SECRETS.values(), *VAULT_CANARIES):
        found = client.post("/v1/search", json={"query": f"where is {query} used", "limit": 50}).json()["results"]
        assert not leaks(str(found))
    assert not leaks(client.get("/v1/sources/workshop/deploy.py").text)
    assert client.get("/v1/sources/workshop/deploy.py").json()["line_count"] > 10
    assert not leaks(call_tool(siege.attacked, "read_source", repo="workshop", path="deploy.py")[3])


def test_no_trace_and_no_log_line_holds_a_secret(siege: Siege) -> None:
    for attack in ATTACKS:
        siege.outcome(attack, "ask")
    siege.attacked.ask("What does deploy_everything do with the aws_key and the password?")
    siege.tracing.close()
    spans = siege.spans.get_finished_spans()
    assert len(spans) > len(ATTACKS)
    assert {what for span in spans for what in leaks(str(dict(span.attributes)))} == set()
    assert not leaks(str(siege.attacked.log))


@pytest.mark.parametrize("form", sorted(disguises(VAULT_CANARIES[0])))
def test_a_leak_would_be_noticed_in_any_disguise(form: str) -> None:
    assert leaks(f"the answer is x{form}y") == {"the vault"}
