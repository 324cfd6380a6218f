"""`cia users`: one JSON document or one clear line, and a key that is shown once."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

from cia.answering import Answer
from cia.settings import load_settings
from cli.main import run
from rag_server.access import Principal
from rag_server.conversations import Conversations, new_id
from rag_server.database import Database


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIA_HOME", str(tmp_path / "home"))


def test_add_prints_one_json_document_and_grants_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "add", "alice", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert list(document) == ["user", "api_key"]
    assert re.fullmatch(r"cia_[0-9a-f]{16}_[\w-]{43}", document["api_key"])
    assert "cia users grant alice --repo NAME" in said.err


def test_people_are_shown_the_key_once_and_two_keys_are_never_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    run(["users", "add", "alice", "--repo", "*"])
    (first,) = re.findall(r"cia_[\w-]+", capsys.readouterr().out)
    run(["users", "key", "alice"])
    (second,) = re.findall(r"cia_[\w-]+", capsys.readouterr().out)
    assert first != second
    run(["users", "list", "--json"])
    assert "cia_" not in capsys.readouterr().out


def test_grants_are_listed_as_they_are_given_and_taken(capsys: pytest.CaptureFixture[str]) -> None:
    run(["users", "add", "alice", "--repo", "b", "--repo", "a"])
    run(["users", "grant", "alice", "--repo", "c"])
    run(["users", "ungrant", "alice", "--repo", "a"])
    run(["users", "add", "root", "--admin"])
    run(["users", "add", "oidc:carol", "--no-key", "--repo", "*"])
    run(["users", "revoke", "root"])
    capsys.readouterr()
    assert run(["users", "list", "--json"]) == 0
    listed = {one["user"]: one for one in json.loads(capsys.readouterr().out)["users"]}
    assert {name: (one["repos"], one["admin"], one["revoked"] is None) for name, one in listed.items()} == {
        "alice": (["b", "c"], False, True),
        "oidc:carol": (["*"], False, True),
        "root": ([], True, False),
    }


def test_a_grant_of_what_is_not_indexed_is_allowed_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "add", "alice", "--repo", "later", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["user"] == "alice"
    assert said.err == "cia: later is not indexed here; the grant counts once it is\n"


@pytest.mark.parametrize(
    "command",
    [["add", "a b"], ["add", "taken"], ["revoke", "nobody"], ["key", "nobody"], ["grant", "nobody", "--repo", "x"],
     ["grant", "taken"],
     ["ungrant", "taken", "--repo", "x"], ["add", "x", "--repo", ""]],
    ids=" ".join,
)  # fmt: skip
def test_what_makes_no_sense_is_one_line_and_exit_code_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run(["users", "add", "taken"])
    capsys.readouterr()
    assert run(["users", *command]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_name_that_is_given_again_brings_no_former_conversation_back() -> None:
    run(["users", "add", "alice"])
    alice = Principal("alice", frozenset())
    with contextlib.closing(Database(load_settings())) as database:
        kept = Conversations(database)
        told = Answer("Nobody knows.", True, "extractive", "none", (), {}, "0" * 32)
        kept.keep(alice, new_id(), "Who is it?", told, [], begin=True)
        assert len(kept.newest(alice)) == 1
        run(["users", "revoke", "alice"])
        run(["users", "add", "alice"])
        assert kept.newest(alice) == []


def test_the_signing_key_is_rotated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "rotate-signing-key"]) == 0
    assert run(["users", "rotate-signing-key", "--end-sessions"]) == 0
    assert "sign in again" in capsys.readouterr().out
