"""Neighbours that come and go while 32 clients ask: each request has an answer, or an error that says why; none is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cia.settings import Settings
from tests.rag_server.faults.model_faults import FAULTS, SENTENCE
from tests.rag_server.running_server import AS_ADMIN, parse_events, served
from tests.rag_server.scripted_model import ScriptedModel, Wire, running_script

QUESTION = "How is a wick trimmed?"
CLIENTS = 32
QUESTIONS = 4
SECONDS_FOR_ONE = 60.0


def well(wire: Wire) -> None:
    wire.say(SENTENCE)


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with running_script(well) as model:
        yield model


def outcome(address: str, number: int) -> str:
    """Ask in one of the ways; return what came of it, or raise when it was nothing that a client can use."""
    way = number % 3
    body = {"question": QUESTION, "stream": way == 1, "conversation": "new" if number % 2 else None}
    if way == 2:
        messages = [{"role": "user", "content": QUESTION}]
        reply = httpx.post(
            f"{address}/v1/chat/completions",
            json={"model": "code-assistant", "messages": messages},
            headers=AS_ADMIN,
            timeout=SECONDS_FOR_ONE,
        )
    else:
        reply = httpx.post(f"{address}/v1/ask", json=body, headers=AS_ADMIN, timeout=SECONDS_FOR_ONE)
    if reply.status_code != 200:
        error = reply.json()["error"]
        assert error["message"], reply.text
        assert "went wrong here" not in error["message"], reply.text
        return f"error {reply.status_code}: {error['message']}"
    if way == 1:
        name, answer = parse_events(reply.text)[-1]
        if name == "error":
            assert answer["error"]["message"]
            return f"error in the stream: {answer['error']['message']}"
    else:
        answer = reply.json() if way == 0 else json.loads(reply.text)["code_intelligence"]
    assert answer["mode"] == "llm" or answer["fallback_reason"], answer
    return str(answer["mode"])


def coming_and_going(model: ScriptedModel, home: Path, over: threading.Event) -> None:
    """One fault after the other, each for a moment, with a moment of health between: model, database, index."""
    faults = itertools.cycle([*(name for name in FAULTS if name not in ("hangs", "never_ends")), "database", "index"])
    while not over.is_set():
        fault = next(faults)
        if fault == "database":
            with contextlib.closing(sqlite3.connect(home / "rag_server" / "server.db", isolation_level=None)) as other:
                other.execute("PRAGMA busy_timeout = 5000")
                other.execute("BEGIN IMMEDIATE")
                over.wait(0.4)
                other.execute("ROLLBACK")
        elif fault == "index":
            (home / "index").rename(home / "aside")
            over.wait(0.2)
            shutil.rmtree(home / "index", ignore_errors=True)
            (home / "aside").rename(home / "index")
        else:
            model.script = FAULTS[fault]
            over.wait(0.15)
        model.script = well
        over.wait(0.05)


def test_no_request_is_lost(indexed: Settings, model: ScriptedModel, tmp_path: Path) -> None:
    shutil.copytree(indexed.home, tmp_path / "home")
    settings = indexed.model_copy(update={"home": tmp_path / "home"})
    environment = {
        "CIA_MODEL__BASE_URL": model.base_url,
        "CIA_MODEL__FORM": "prose",
        "CIA_MODEL__TIMEOUT_SECONDS": "1",
        "CIA_ANSWERING__USE_BASE_MODEL": "true",
        "CIA_RAG__CONCURRENT_PER_USER": "64",
    }
    over = threading.Event()
    with served(settings, **environment) as address, ThreadPoolExecutor(CLIENTS + 1) as threads:
        assert outcome(address, 0) == "llm"
        troubles = threads.submit(coming_and_going, model, settings.home, over)
        outcomes = Counter(threads.map(lambda number: outcome(address, number), range(CLIENTS * QUESTIONS)))
        over.set()
        troubles.result()
        model.script = well
        time.sleep(0.2)
        assert outcomes.total() == CLIENTS * QUESTIONS
        assert outcomes["llm"], "the model never answered"
        assert outcomes["extractive"], "no fault was ever noticed"
        assert [outcome(address, number) for number in range(3)] == ["llm"] * 3
