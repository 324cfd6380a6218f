"""What a question spells out is answered first: names, files, lines, texts in quotes, messages with values in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cia.retrieval import Indexer, Retriever
from cia.retrieval.messages import fills_in, holds, messages
from cia.retrieval.question import Place, take_apart
from cia.settings import Settings

PORTS = '''\
"""Ports of a URL."""

from net.errors import InvalidPort, Name

DEFAULT_PORT = 80


def _parse(text):
    return int(text)


class Port:
    """A port and its scheme."""

    def __init__(self, number):
        self.number = number

    def check(self, limit):
        if not 0 < self.number < limit:
            raise InvalidPort(
                f"Port {self.number!r} cannot be used, "
                f"it is not below {limit}."
            )

    def send(self, data):
        return data


def open_port(number):
    port = Port(number)
    port.check(65536)
    return port
'''
FILES = {
    "src/net/ports.py": PORTS,
    "src/net/errors.py": """\
class InvalidPort(ValueError):
    def check(self):
        return 'Invalid port: %s'


def warn(x):
    return x
""",
    "src/net/sockets.py": """\
from typing import overload


class Socket:
    @overload
    def send(self, data: str) -> str: ...

    @overload
    def send(self, data: bytes) -> bytes: ...

    def send(self, data):
        self.sent = data
        return data
""",
    "tests/test_ports.py": """\
def test_port():
    assert 'Invalid port: %s'
    assert str(error) == 'Port 7 cannot be used'


def check(port):
    return port
""",
    "docs/ports.md": "# Ports\n\nYou may read: Invalid port: %s\n\n## net.ports\n\nA module.\n",
    "setup.py": "def setup_ports(port, number, data, check):\n    return port\n",
    "Makefile": "all:\n\techo port\n",
}


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("exact")
    settings = Settings(home=folder / "home")
    Indexer(settings).index(str(write_files(folder / "net", FILES)), name="net")
    return Retriever(settings)


def found(retriever: Retriever, query: str) -> list[tuple[str, int, str]]:
    return [(result.file_path, result.line_start, result.symbol) for result in retriever.search(query, limit=20).results]


@pytest.mark.parametrize(
    "name",
    ["Port.check", "Port.check()", "net.ports.Port.check", "src.net.ports.Port.check", "Port::check", "Port#check", "port.check"],
)
def test_a_qualified_name_comes_before_others_of_that_name(retriever: Retriever, name: str) -> None:
    assert found(retriever, name)[0][::2] == ("src/net/ports.py", "Port.check")


@pytest.mark.parametrize("name", ["net.open_port", "ports.open_port", "net.ports.open_port", "open_port"])
def test_a_function_is_found_by_its_module_or_by_the_package_that_shows_it(retriever: Retriever, name: str) -> None:
    assert found(retriever, name)[0][2] == "open_port"


@pytest.mark.parametrize("name", ["sock->send", "Socket::send", "socket.send"])
def test_a_receiver_points_to_the_class_it_is_named_after_and_overloads_come_last(retriever: Retriever, name: str) -> None:
    first = found(retriever, name)
    assert [symbol for _, _, symbol in first[:4]] == ["Socket.send"] * 3 + ["Port.send"]
    assert "self.sent" in retriever.search(name).results[0].text


def test_a_name_is_first_where_it_is_written_in_the_same_case(retriever: Retriever) -> None:
    assert found(retriever, "check")[0][0].startswith("src/")
    assert found(retriever, "Port")[0][2] == "Port"


@pytest.mark.parametrize(
    "path",
    ["src/net/ports.py", "net/ports.py", "ports.py", "./ports.py", "`ports.py`", "/lib/site-packages/net/ports.py", "net.ports"],
)
def test_a_path_gives_the_chunks_of_its_file_what_stands_for_it_first(retriever: Retriever, path: str) -> None:
    results = found(retriever, path)
    of_file = [symbol for file, _, symbol in results if file == "src/net/ports.py"]
    assert [file for file, _, _ in results[: len(of_file)]] == ["src/net/ports.py"] * len(of_file)
    assert of_file[:2] == ["Port", "open_port"]
    assert len(of_file) >= 5


@pytest.mark.parametrize("path", ["net/setup.py", "setup.py"])
def test_a_path_may_begin_with_the_name_of_the_repository(retriever: Retriever, path: str) -> None:
    assert found(retriever, path)[0][0] == "setup.py"


def test_a_file_that_is_not_there_is_no_other_file(retriever: Retriever) -> None:
    assert take_apart("other/place/errors.py").one_place
    assert found(retriever, "other/place/nowhere.py")[0][0] != "nowhere.py"


@pytest.mark.parametrize(
    ("query", "symbol"),
    [
        ("ports.py:16", "Port.__init__"),
        ("src/net/ports.py:18-23", "Port.check"),
        ("net/ports.py#L26", "Port.send"),
        ("ports.py, line 32", "open_port"),
        ("ports.py:8:4", "_parse"),
        ("ports.py:12", "Port"),
        ('File "/usr/lib/python3/site-packages/net/ports.py", line 20, in check', "Port.check"),
        ("what is wrong at ports.py:31?", "open_port"),
        ("net/src/net/ports.py:30-33", "open_port"),
    ],
)
def test_a_line_gives_the_chunk_that_holds_it(retriever: Retriever, query: str, symbol: str) -> None:
    assert found(retriever, query)[0][::2] == ("src/net/ports.py", symbol)


def test_lines_are_read_off_a_question() -> None:
    assert take_apart("see a.py:3-9 and b.js#L7 and c.go").places == (Place("a.py", 3, 9), Place("b.js", 7, 7), Place("c.go"))
    assert take_apart("https://example.org/index.html").places == ()


@pytest.mark.parametrize(
    ("query", "symbol"),
    [
        ('"Invalid port: %s"', "InvalidPort"),
        ('"valid port: %"', "InvalidPort"),
        ('"cannot be used, it is not below"', "Port.check"),
        ("`self.number = number`", "Port.__init__"),
        ('"Invalid port: 99999"', "InvalidPort"),
        ("ValueError: Invalid port: 99999", "InvalidPort"),
        ("InvalidPort: Port 70000 cannot be used, it is not below 65536.", "Port.check"),
    ],
)
def test_a_message_gives_the_code_that_makes_it_before_tests_and_docs(retriever: Retriever, query: str, symbol: str) -> None:
    file, _, first = found(retriever, query)[0]
    assert file.startswith("src/")
    assert first.startswith(symbol)


def test_quoted_text_is_found_where_nothing_else_of_the_question_points(settings: Settings, tmp_path: Path) -> None:
    files = {
        f"m{n}.py": f"def handler_{n}(request, error):\n    return error, request, 'common words of {n}'\n" for n in range(300)
    }
    files["odd.py"] = "X = 1\n" + "def odd(request):\n" + "    request.step()\n" * 100 + "    fail('common words fail')\n"
    Indexer(settings).index(str(write_files(tmp_path / "many", files)), name="many")
    retriever = Retriever(settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"candidates": 5})}))
    assert found(retriever, '"common words fail"')[0][0] == "odd.py"


def test_the_limits_of_a_search_hold_for_what_is_spelled_out_too(retriever: Retriever) -> None:
    for query in ("ports.py", "Port.check", '"Invalid port: %s"', "ports.py:20"):
        results = retriever.search(query, path="tests/").results
        assert {result.file_path for result in results} == {"tests/test_ports.py"}


def test_scores_fall_from_one_result_to_the_next(retriever: Retriever) -> None:
    for query in ("ports.py", "Port.check", '"Invalid port: %s"', "ports.py:20", "where is a port opened"):
        scores = [result.score for result in retriever.search(query).results]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("literal", "message", "gives"),
    [
        ('f"Invalid port: {port!r}"', "Invalid port: '99999'", True),
        ('"cannot open %s: %d errors"', "Error: cannot open a.txt: 3 errors", True),
        ("`no user ${name} here`", "no user 'bob' here", True),
        ('f"{value} is {other}"', "the value 3 is 4", False),
        ('"Invalid port"', "Invalid proxy: '1'", False),
    ],
)
def test_a_literal_gives_a_message_when_its_values_are_filled_in(literal: str, message: str, gives: bool) -> None:
    assert fills_in(f"raise ValueError({literal})", list(messages(take_apart(message)))) is gives


def test_a_text_is_held_across_the_seam_of_two_literals() -> None:
    assert holds("raise E(\n    'cannot send, '\n    f'as it is closed'\n)", "cannot send, as it is closed")
    assert not holds("'cannot send', 'as it is closed'", "cannot send, as it is closed")


def test_the_right_definition_is_not_hidden_among_its_likes(settings: Settings, tmp_path: Path) -> None:
    handlers = "".join(
        f'\n\ndef handle_event_{n}(event):\n    """Handle the event of kind {n} and log it."""\n    log(event, {n})\n'
        for n in range(20)
    )
    files = {"handlers.py": handlers, **{f"other_{n}.py": f"def event_{n}(kind):\n    return log(kind)\n" for n in range(12)}}
    Indexer(settings).index(str(write_files(tmp_path / "events", files)), name="events")
    retriever = Retriever(settings)
    for n in (0, 7, 13, 19):
        assert found(retriever, f"handle_event_{n}")[0][2] == f"handle_event_{n}"
        assert found(retriever, f"Handle the event of kind {n} and log it.")[0][2] == f"handle_event_{n}"
        assert f"handle_event_{n}" in [s for _, _, s in found(retriever, f"how is the event of kind {n} handled and logged")[:3]]
