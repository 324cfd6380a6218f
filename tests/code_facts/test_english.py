import pytest

from cia.chunking import chunk_file
from cia.code_facts.english import listed, parameters, third_person
from cia.settings import ChunkingSettings


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Return the path.", "returns the path."),
        ("Returns the path.", "returns the path."),
        ("Close the response and release the connection.", "closes the response and releases the connection."),
        ("Apply the query and values.", "applies the query and values."),
        ("A byte stream that is bound to a response.", "is a byte stream that is bound to a response."),
        ("The path is similar to the file.", ""),
        ("Raised when a header is wrong.", "is raised when a header is wrong."),
        ("For some parameters we need more.", ""),
    ],
)
def test_a_docstring_is_turned_into_what_can_be_said_of_its_name(sentence, said):
    assert third_person(sentence) == said


def test_parameters_are_read_as_written_without_self():
    source = b"class A:\n    def f(self, a, /, b: int = 1, *rest: str, c=None, **more) -> list[str]:\n        return []\n"
    chunk = next(chunk for chunk in chunk_file("a.py", source, ChunkingSettings()) if chunk.symbol == "A.f")
    assert parameters(chunk) == (["a", "b: int = 1", "*rest: str", "c=None", "**more"], "list[str]")


def test_lists_end_in_and():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
