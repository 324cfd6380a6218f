"""Pairs that the word vectors are learnt from."""

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.static_embedding.docstring_pairs import docstring_pairs, lengths
from benchmarks.static_embedding.history_pairs import comment_pairs, commit_pairs

PYTHON = '''def total(items):
    """Add up what all items cost."""
    return sum(items)
'''
GO = """package pool

// Idle closes every connection that nobody has used for a while.
func Idle(seconds int) int {
	return {result}
}

func Busy() int {
	return 1
}
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Go file, then a commit that changes one of its functions."""
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "--quiet")
    for result, subject in (("0", "Add a pool of connections"), ("seconds", "Count idle seconds of a connection")):
        (folder / "pool.go").write_text(GO.replace("{result}", result))
        git(folder, "add", "pool.go")
        git(folder, "commit", "--quiet", "-m", subject)
    return folder


def git(folder: Path, *arguments: str) -> None:
    names = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, env={**os.environ, **names})


def test_a_commit_goes_with_the_definition_that_it_changed_as_it_left_it(history: Path) -> None:
    pairs = {pair.sentences[0]: pair for pair in commit_pairs(history, "pool")}
    changed = pairs["Count idle seconds of a connection"]
    assert (changed.repo, changed.path, changed.name) == ("pool", "pool.go", "Idle")
    assert "return seconds" in changed.code


def test_a_subject_that_is_skipped_makes_no_pair(history: Path) -> None:
    pairs = commit_pairs(history, "pool", skipped=frozenset({"count idle seconds of a connection"}))
    assert {pair.sentences[0] for pair in pairs} == {"Add a pool of connections"}


def test_a_comment_goes_with_the_code_below_it(history: Path) -> None:
    (pair,) = comment_pairs(history, "pool")
    assert pair.sentences[0] == "Idle closes every connection that nobody has used for a while."
    assert pair.code.startswith("func Idle")
    assert "nobody" not in pair.code


def test_a_docstring_goes_with_its_code_unless_the_package_is_asked_about(tmp_path: Path) -> None:
    for package in ("shop", "click"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "cart.py").write_text(PYTHON)
    (pair,) = docstring_pairs([tmp_path])
    assert (pair.repo, pair.name, pair.sentences[0]) == ("shop", "total", "Add up what all items cost.")
    assert "Add up" not in pair.code


def test_a_docstring_is_asked_for_by_its_sentence_its_paragraph_and_all_of_it() -> None:
    docstring = "One thing. More\nof it.\n\nMuch more."
    assert lengths(docstring) == ("One thing.", "One thing. More of it.", docstring)
