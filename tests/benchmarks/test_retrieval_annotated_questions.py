import json
from pathlib import Path

import pytest

from benchmarks.retrieval.question import Place, Question
from benchmarks.retrieval.questions_annotated import OWN_QUESTIONS, placed, read_jsonl, read_semble
from cia.corpus import Corpus, Snapshot, decode, split_lines
from cia.errors import CiaError, InputError
from cia.settings import load_settings

OWN = read_jsonl(OWN_QUESTIONS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(load_settings(environment={"CIA_HOME": str(tmp_path_factory.mktemp("home"))}))


def test_there_are_at_least_ninety_questions_about_three_packages_and_none_twice() -> None:
    texts = [question.text for questions in OWN.values() for question in questions]
    assert len(texts) >= 90
    assert len(set(texts)) == len(texts)
    assert len(OWN) >= 3


@pytest.mark.parametrize("source", OWN)
def test_every_place_exists_at_the_pinned_version(source: str, corpus: Corpus) -> None:
    snapshot = added(corpus, source)
    for question in OWN[source]:
        for place in question.relevant:
            lines = split_lines(decode(snapshot.read_bytes(place.path)))
            if place.start is not None and place.end is not None:
                assert 1 <= place.start <= place.end <= len(lines), question.text
                assert lines[place.start - 1].strip(), question.text
                assert lines[place.end - 1].strip(), question.text


@pytest.mark.parametrize("file", sorted(OWN_QUESTIONS.glob("*.jsonl")), ids=lambda file: file.stem)
def test_a_symbol_that_is_asked_for_is_defined_in_its_place(file: Path, corpus: Corpus) -> None:
    for entry in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        if entry["category"] == "symbol":
            place = entry["relevant"][0]
            lines = split_lines(decode(added(corpus, entry["repo"]).read_bytes(place["path"])))
            head = "\n".join(lines[place["start"] - 1 : place["start"] + 3])
            assert f" {entry['query'].rpartition('.')[2]}" in head


def test_a_line_that_is_no_question_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(
        '{"query": "where?", "repo": "/src", "relevant": [{"path": "a.py"}]}\n{"query": "why?"}\n'
    )
    with pytest.raises(InputError, match=r"mine\.jsonl:2"):
        read_jsonl(tmp_path)


def test_places_are_completed_to_paths_of_the_tree_and_lost_ones_left_out() -> None:
    question = Question("q", "where?", (Place("client.py", 1, 2), Place("gone.py")))
    (found,) = placed([question], ["pkg/_client.py", "src/pkg/client.py"])
    assert found.relevant == (Place("src/pkg/client.py", 1, 2),)
    assert placed([Question("q", "where?", (Place("gone.py"),))], ["src/pkg/client.py"]) == ()


def test_annotations_of_semble_are_read_with_their_revision(tmp_path: Path) -> None:
    pins = [{"name": "pool", "revision": "abc", "benchmark_root": "src"}, {"name": "other", "revision": "def"}]
    (tmp_path / "repos.json").write_text(json.dumps(pins))
    targets = {"relevant": ["pool.py"], "secondary": [{"path": "client.py", "start_line": 3, "end_line": 9}]}
    (tmp_path / "pool.json").write_text(json.dumps([{"query": "how are connections kept", **targets}]))
    ((pinned, (question,)),) = read_semble(tmp_path)
    assert (pinned.name, pinned.revision, pinned.folder) == ("pool", "abc", "src")
    assert question.relevant == (Place("pool.py"), Place("client.py", 3, 9))


def added(corpus: Corpus, source: str) -> Snapshot:
    try:
        return corpus.add(source)
    except CiaError as error:
        pytest.skip(f"the package index does not answer: {error}")
