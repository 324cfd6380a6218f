import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.retrieval.questions_docstring import question_from, strip_docstrings, strip_files

SOURCE = b'''"""A module keeps its docstring."""

class Pool:
    """Keeps connections open so that they can be used again.

    More words.
    """

    @property
    def size(self):
        """Return how many connections are open right now."""

    def take(self): "Hand out the connection that was idle longest."

    def drop(self): "Close the connection that was idle longest."; self.idle -= 1

    def _hide(self):
        """Nobody outside of this class ever calls this one."""
        return 1

    async def give(self, connection):
        """Put a :class:`~pool.Connection` back into the ``pool``. Then wake a waiter."""; self.idle += 1
        return connection
'''


def test_no_docstring_of_a_definition_is_left_and_the_source_still_parses() -> None:
    stripped, _ = strip_docstrings(SOURCE)
    assert ast.get_docstring(ast.parse(stripped)) == "A module keeps its docstring."
    for node in ast.walk(ast.parse(stripped)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            assert ast.get_docstring(node) is None
    assert b"idle longest" not in stripped
    assert b"self.idle += 1" in stripped


def test_questions_know_the_lines_of_their_definition_after_the_cut() -> None:
    stripped, described = strip_docstrings(SOURCE)
    lines = stripped.split(b"\n")
    first_lines = {question: lines[start - 1].strip() for question, start, _ in described}
    assert first_lines == {
        "Keeps connections open so that they can be used again.": b"class Pool:",
        "Return how many connections are open right now.": b"@property",
        "Hand out the connection that was idle longest.": b"def take(self): ...",
        "Close the connection that was idle longest.": b"def drop(self): ...; self.idle -= 1",
        "Put a pool.Connection back into the pool.": b"async def give(self, connection):",
    }
    last_lines = {question: lines[end - 1].strip() for question, _, end in described}
    assert last_lines["Put a pool.Connection back into the pool."] == b"return connection"


def test_a_source_that_does_not_parse_is_left_alone() -> None:
    assert strip_docstrings(b"def broken(:\n") == (b"def broken(:\n", [])


@given(st.lists(st.sampled_from(["x = 1", "return 2", "pass", "# a comment", "", "def g(): 'Inner words.'"]), max_size=4))
def test_whatever_follows_a_docstring_it_goes_and_the_rest_stays(rest: list[str]) -> None:
    body = "".join(f"    {statement}\n" for statement in ['"""Words."""', *rest])
    stripped, _ = strip_docstrings(f"def f():\n{body}\nafter = f\n".encode())
    function, after = ast.parse(stripped).body
    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function) is None
    assert isinstance(after, ast.Assign)
    assert stripped.count(b"x = 1") == rest.count("x = 1")
    assert b"ords." not in stripped


@pytest.mark.parametrize(
    "docstring",
    ["Return the name.", "See :func:`other` for all of the details of this.", "Alias for the function that does the work.", ""],
)
def test_a_docstring_that_says_too_little_asks_nothing(docstring: str) -> None:
    assert question_from(docstring) is None


def test_twins_with_the_same_sentence_both_answer_it_and_tests_ask_nothing(tmp_path: Path) -> None:
    twin = b'def send():\n    """Send the request over the open connection."""\n    return 1\n'
    files = [("pkg/a.py", twin), ("pkg/b.py", twin), ("tests/test_a.py", twin), ("README.md", b"# pkg\n")]
    (question,) = strip_files(files, tmp_path)
    assert [(place.path, place.start, place.end) for place in question.relevant] == [("pkg/a.py", 1, 2), ("pkg/b.py", 1, 2)]
    assert (tmp_path / "README.md").read_bytes() == b"# pkg\n"
    assert b"Send the request" not in (tmp_path / "tests/test_a.py").read_bytes()
