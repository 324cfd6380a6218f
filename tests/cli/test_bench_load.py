"""`cia bench load`: a line each interval, figures at the end, and one line for what cannot be."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cia.retrieval import Indexer
from cia.settings import load_settings
from cli.main import run
from cli.running_server import key_of_user, running_server
from tests.inference_services.load.scripted_server import scripted_server

BRIEFLY = ["--rate", "20", "--seconds", "1", "--interval", "0.5"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIA_HOME", str(tmp_path / "home"))


def test_lines_come_first_and_the_summary_last(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_server() as server:
        assert run(["bench", "load", server.base_url, *BRIEFLY]) == 0
    heading, first, *rest = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "seconds"
    assert heading.split()[-1] == "replicas"
    assert len(first) == len(heading), "the columns stand under their names"
    assert any("requests answered in" in line for line in rest)
    assert any(line.startswith("first token") for line in rest)


def test_json_is_one_document_and_the_lines_are_elsewhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "questions").write_text('{"question": "Where is it?"}\nHow is it done?\n')
    with scripted_server() as server:
        questions = ["--questions", str(tmp_path / "questions"), "--model", "other", "--answer-tokens", "3"]
        assert run(["bench", "load", server.base_url, *BRIEFLY, "--json", *questions]) == 0
        bodies = server.bodies
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["answers"] == len(bodies)
    assert "replicas" in said.err
    assert {body["messages"][0]["content"] for body in bodies} == {"Where is it?", "How is it done?"}
    assert {(body["model"], body["max_tokens"]) for body in bodies} == {("other", 3)}


def test_the_answer_server_is_asked_with_a_users_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lantern").mkdir()
    (tmp_path / "lantern" / "wick.py").write_text('def trim() -> None:\n    """Trim the wick of the lantern."""\n')
    settings = load_settings()
    Indexer(settings).index(str(tmp_path / "lantern"))
    with running_server(settings) as server:
        monkeypatch.setenv("A_USERS_KEY", key_of_user(settings, "alice"))
        ask = ["bench", "load", f"{server.address}/v1/ask", "--rate", "5", "--seconds", "1", "--json"]
        assert run([*ask, "--key-variable", "A_USERS_KEY"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["answers"] == report["requests"] > 0
        assert report["answered_by"] == {"none": report["answers"]}, "no model: the answers are quoted"
        assert report["first_token"]["p50"] <= report["latency"]["p50"]
        assert run(ask) == 1
        assert "HTTP 401" in capsys.readouterr().err


def test_a_server_that_answers_nothing_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_server() as server:
        server.ending = "503"
        assert run(["bench", "load", server.base_url, *BRIEFLY]) == 1
    assert "answered none of" in capsys.readouterr().err


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    address = "http://127.0.0.1:9/v1"
    for mistake, says in (
        (["http://127.0.0.1:9"], "ends in /v1"),
        ([address, "--rate", "fast"], "stairs such as 1,2,4"),
        ([address, "--model", "any", "--questions", str(tmp_path / "nowhere")], "cannot be read"),
        ([address, "--model", "any", "--questions", str(tmp_path / "empty")], "holds no question"),
    ):
        assert run(["bench", "load", *mistake]) == 2
        assert says in capsys.readouterr().err


def test_a_server_that_is_away_is_said_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert run(["bench", "load", f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"]) == 1
    said = capsys.readouterr()
    assert "lists its models" in said.err
    assert said.out == ""
