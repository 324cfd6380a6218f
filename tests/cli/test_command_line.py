"""The command as a user runs it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = '''\
"""Greets people."""


def greet(name: str) -> str:
    """Return a friendly greeting for a person."""
    return f"Hello, {name}!"


class Guest:
    """Somebody who is greeted."""

    def leave(self) -> None:
        """Say goodbye and go."""
        print("bye")
'''


def cia(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"CIA_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=home.parent,
        timeout=60,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one small repository in its index."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "greeter").mkdir()
    (folder / "greeter" / "greeter.py").write_text(CODE)
    home = folder / "home"
    home.mkdir()
    done = cia(home, "index", str(folder / "greeter"), "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)["repos"][0]
    assert (report["name"], report["files"]) == ("greeter", 1)
    assert set(report) == {"name", "commit", "files", "chunks", "added", "updated", "deleted", "skipped", "seconds"}
    return home


def test_a_source_that_is_not_there_keeps_no_other_from_the_index(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "greeter.py").write_text(CODE)
    done = cia(tmp_path / "home", "index", str(tmp_path / "gone"), str(tmp_path / "greeter"), "--json")
    assert done.returncode == 1
    assert [repo["name"] for repo in json.loads(done.stdout)["repos"]] == ["greeter"]
    assert done.stderr.startswith("cia: 1 of 2 sources were not indexed: ")
    assert "gone" in done.stderr


def test_search_prints_one_json_document_of_the_fixed_shape(home: Path) -> None:
    found = json.loads(cia(home, "search", "friendly greeting", "--json", "--limit", "2").stdout)
    assert found["query"] == "friendly greeting"
    first = found["results"][0]
    assert (first["symbol"], first["file_path"], first["line_start"], first["line_end"]) == ("greet", "greeter.py", 4, 6)
    assert set(first) == {
        "repo", "commit", "file_path", "line_start", "line_end", "language", "symbol", "kind", "score", "text"
    }  # fmt: skip


def test_a_file_of_queries_is_answered_in_its_order(home: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "say goodbye"}\n\n{"query": "greet"}\n')
    documents = [json.loads(line) for line in cia(home, "search", "--queries", str(queries), "--json").stdout.splitlines()]
    assert [document["query"] for document in documents] == ["say goodbye", "greet"]
    assert documents[0]["results"][0]["symbol"] == "Guest.leave"


def test_ask_without_a_model_quotes_the_code_and_says_so(home: Path) -> None:
    answer = json.loads(cia(home, "ask", "Where is greet defined?", "--json").stdout)
    assert answer["mode"] == "extractive"
    assert answer["citations"][0]["file_path"] == "greeter.py"
    assert set(answer) >= {"answer", "abstained", "mode", "model", "citations", "index", "trace_id"}


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["index", "/no/such/folder"], 2, "/no/such/folder"),
        (["index", "a", "b", "--name", "c"], 2, "--name"),
        (["search"], 2, "--queries"),
        (["search", ""], 2, "empty"),
        (["search", "greet", "--repo", "nothere"], 2, "nothere"),
        (["search", "greet", "--limit", "0"], 2, "--limit"),
        (["search", "--queries", "/no/such/file"], 2, "/no/such/file"),
        (["ask", "greet?", "--repo", "nothere"], 2, "nothere"),
        (["serch", "greet"], 2, "serch"),
        (["--profile", "moon", "search", "greet"], 2, "moon"),
        (["search", "greet", "--profile"], 2, "--profile"),
        (["models", "promote", "99"], 2, "99"),
        (["pipeline", "submit"], 2, "pipeline.host"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_that_names_it(home: Path, arguments: list[str], code: int, expected: str) -> None:
    done = cia(home, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert expected in done.stderr
    assert done.stderr.startswith("cia: ")
    assert done.stderr.count("\n") == 1


def test_the_profile_may_stand_before_or_after_the_command(home: Path) -> None:
    before = cia(home, "--profile", "local", "search", "greet", "--json")
    after = cia(home, "search", "greet", "--json", "--profile=local")
    assert before.stdout == after.stdout != ""


def test_a_file_of_queries_with_rubbish_names_the_line(home: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "fine"}\nnot json\n')
    done = cia(home, "search", "--queries", str(queries), "--json")
    assert done.returncode == 2
    assert "line 2" in done.stderr
