from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cia.errors import InputError
from cia.evaluation.deepeval_metrics import DeepEvalMetrics
from cia.evaluation.judge import JudgeError, open_judge
from cia.evaluation.offline_judge import OfflineJudge
from cia.evaluation.openai_judge import OpenAIJudge
from cia.settings import EvaluationSettings

QUESTION, ANSWER, CONTEXT = "What does `f` return?", "`f` returns 3.", ["def f():\n    return 3"]


class Server(ThreadingHTTPServer):
    """Speaks ``/chat/completions`` with guided JSON. ``behaviours`` are used up in order; then it judges well."""

    daemon_threads = True
    behaviours: list[str]
    requests: list[dict[str, Any]]
    keys: list[str | None]

    def handle_error(self, *_: object) -> None:
        """A client that did not wait is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.keys.append(self.headers.get("Authorization"))
        behaviour = self.server.behaviours.pop(0) if self.server.behaviours else "good"
        if behaviour == "slow":
            time.sleep(0.6)
        if behaviour.isdigit():
            self._reply(int(behaviour), b"{}")
        elif behaviour == "no json":
            self._reply(200, b"<html>")
        else:
            content = {"malformed": "Sure! Yes.", "idk": '{"verdicts": [{"verdict": "idk", "reason": ""}]}'}.get(behaviour)
            message = {"role": "assistant", "content": content or self._judge(request)}
            self._reply(200, json.dumps({"choices": [{"message": message}]}).encode())

    def _judge(self, request: dict[str, Any]) -> str:
        import deepeval.metrics.faithfulness.schema as schemas

        schema = getattr(schemas, request["response_format"]["json_schema"]["name"])
        return OfflineJudge().judge(request["messages"][0]["content"], schema).model_dump_json()

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.behaviours, server.requests, server.keys = [], [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def judge(server: Server) -> Iterator[OpenAIJudge]:
    judge = OpenAIJudge(f"http://127.0.0.1:{server.server_port}/v1", "judge", "secret", timeout_seconds=0.3, pause_seconds=0.01)
    yield judge
    judge.close()


def test_verdicts_are_asked_for_as_guided_json(server: Server, judge: OpenAIJudge) -> None:
    judged = DeepEvalMetrics(judge).faithfulness(QUESTION, ANSWER, CONTEXT)

    assert (judged.score, judged.failure) == (1.0, "")
    asked = [request["response_format"]["json_schema"] for request in server.requests]
    assert [each["name"] for each in asked] == ["Truths", "Claims", "Verdicts"]
    assert asked[2]["schema"]["required"] == ["verdicts"]
    for document in asked:  # OpenAI's strict mode takes a schema only with every property required and no others allowed
        objects = [document["schema"], *document["schema"].get("$defs", {}).values()]
        assert all(each["additionalProperties"] is False for each in objects if "properties" in each)
        assert all(set(each["required"]) == set(each["properties"]) for each in objects if "properties" in each)
    assert {request["temperature"] for request in server.requests} == {0}
    assert set(server.keys) == {"Bearer secret"}


@pytest.mark.parametrize("behaviour", ["malformed", "slow", "500", "429", "no json", "idk"])
def test_a_bad_reply_is_asked_for_again(server: Server, judge: OpenAIJudge, behaviour: str) -> None:
    server.behaviours = ["good", "good", behaviour, behaviour]
    assert DeepEvalMetrics(judge).faithfulness(QUESTION, ANSWER, CONTEXT).score == 1.0
    assert len(server.requests) == 5


@pytest.mark.parametrize("behaviour", ["malformed", "slow", "500", "no json", "idk"])
def test_a_judge_that_stays_bad_is_a_fail(server: Server, judge: OpenAIJudge, behaviour: str) -> None:
    server.behaviours = ["good", "good", *[behaviour] * 3]
    judged = DeepEvalMetrics(judge).faithfulness(QUESTION, ANSWER, CONTEXT)
    assert judged.score == 0.0
    assert "no verdict" in judged.failure
    assert len(server.requests) == 5


def test_a_refused_key_is_not_tried_again(server: Server, judge: OpenAIJudge) -> None:
    server.behaviours = ["401"]
    judged = DeepEvalMetrics(judge).faithfulness(QUESTION, ANSWER, CONTEXT)
    assert "status 401" in judged.failure
    assert len(server.requests) == 1


def test_a_judge_that_is_away_is_a_fail() -> None:
    away = OpenAIJudge("http://127.0.0.1:9/v1", "judge", timeout_seconds=0.3, pause_seconds=0.01)
    assert "reached" in DeepEvalMetrics(away).answer_relevancy(QUESTION, ANSWER).failure


def test_the_settings_name_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_judge(EvaluationSettings()), OfflineJudge)
    monkeypatch.setenv("JUDGE_API_KEY", "k")
    assert open_judge(EvaluationSettings(judge="http://127.0.0.1:9/v1", judge_model="m")).name == "m at http://127.0.0.1:9/v1"
    with pytest.raises(InputError, match="offline"):
        open_judge(EvaluationSettings(judge="gpt"))
    assert issubclass(JudgeError, Exception)
