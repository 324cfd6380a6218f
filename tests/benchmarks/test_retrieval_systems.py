from pathlib import Path

import pytest

from benchmarks.retrieval.measure import measure
from benchmarks.retrieval.question import Place, Question, QuestionSet
from benchmarks.retrieval.systems.code_tokens import code_tokens
from cia.errors import OperationError

POOL = """class ConnectionPool:
    def release_idle(self, seconds):
        for connection in self.connections:
            if connection.idle_for > seconds:
                connection.close()
"""
MAIL = """def send_newsletter(subscribers, letter):
    for subscriber in subscribers:
        subscriber.mailbox.deliver(letter)
"""


@pytest.fixture
def question_set(tmp_path: Path) -> QuestionSet:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pool.py").write_text(POOL)
    (tree / "mail.py").write_text(MAIL)
    asked = Question("q", "close connections that are idle", (Place("pool.py", 1, 5),))
    return QuestionSet("docstring", "shop", "tune", tree, (asked,))


@pytest.mark.parametrize("system", ["cia", "bm25s"])
def test_a_system_is_measured_in_a_process_of_its_own(system: str, question_set: QuestionSet, tmp_path: Path) -> None:
    measurement = measure(system, [question_set], tmp_path / "cache")
    assert measurement.scores == {"shop/q": {"MRR@10": 1.0, "R@10": 1.0}}
    assert measurement.rankings["shop/q"][0][0] == "pool.py"
    assert measurement.index_seconds > 0
    assert measurement.peak_bytes > 10_000_000
    assert not list((tmp_path / "cache").iterdir())


def test_what_a_killed_run_left_goes_with_the_next_one(question_set: QuestionSet, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "run-999999999-left"
    left.mkdir(parents=True)
    with pytest.raises(OperationError):
        measure("nobody", [question_set], tmp_path / "cache")
    assert not left.exists()


def test_a_system_that_fails_says_why(question_set: QuestionSet, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"nobody failed: .*nobody"):
        measure("nobody", [question_set], tmp_path / "cache")


def test_code_tokens_hold_identifiers_and_their_parts() -> None:
    assert code_tokens("getHTTPResponse(max_size)") == ["gethttpresponse", "get", "http", "response", "max_size", "max", "size"]
