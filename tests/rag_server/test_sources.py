"""A citation leads to exactly its lines, and no path leads out of the indexed files."""

from __future__ import annotations

import pytest

from tests.rag_server.running_server import Server


def lines(server: Server, path: str, **parameters: object) -> list[str]:
    reply = server.client.get(f"/v1/sources/lantern/{path}", params=parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()["lines"]


def test_lines_are_counted_from_one_and_both_ends_are_included(server: Server) -> None:
    assert lines(server, "src/wick.py", start=1, end=3) == ['"""Wicks for lanterns."""', "", "import math"]
    assert lines(server, "src/wick.py", start=8, end=8) == ["class Wick:"]


def test_a_whole_file_and_an_end_beyond_it_stop_at_its_last_line(server: Server) -> None:
    whole = server.client.get("/v1/sources/lantern/src/wick.py").json()
    assert (whole["line_start"], whole["line_end"]) == (1, whole["line_count"])
    assert len(whole["lines"]) == whole["line_count"]
    assert lines(server, "src/wick.py", start=whole["line_count"], end=10_000) == whole["lines"][-1:]


@pytest.mark.parametrize("query", ["start=0", "start=9&end=3", "start=1000", "start=x", "end=-1"])
def test_a_range_outside_the_file_is_refused(server: Server, query: str) -> None:
    reply = server.client.get(f"/v1/sources/lantern/src/wick.py?{query}")
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "lantern/../../../../etc/passwd",
        "lantern/%2e%2e/%2e%2e/etc/passwd",
        "lantern/..%2f..%2fetc%2fpasswd",
        "lantern//etc/passwd",
        "lantern/src%00/wick.py",
        "..%2f..%2fcorpus/wick.py",
        "%2e%2e/lantern/current.json",
        "lantern/src",
        "lantern/nothing.py",
        "nowhere/src/wick.py",
    ],
)
def test_no_path_leads_out_of_the_indexed_files(server: Server, path: str) -> None:
    assert server.client.get(f"/v1/sources/{path}").status_code in (404, 422)


def test_a_commit_that_is_not_indexed_is_not_found(server: Server) -> None:
    for commit in ("0" * 40, "../../x", ""):
        reply = server.client.get("/v1/sources/lantern/src/wick.py", params={"commit": commit})
        assert reply.status_code in (404, 422) or commit == ""


def test_the_repositories_are_listed_with_their_commits(server: Server) -> None:
    (repository,) = server.client.get("/v1/repositories").json()["repositories"]
    assert repository["name"] == "lantern"
    assert repository["files"] == 3
    assert len(repository["commit"]) >= 40
