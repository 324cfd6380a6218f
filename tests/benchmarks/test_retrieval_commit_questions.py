import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.retrieval.questions_commit import Commit, git, past_questions, question_of, questions_from, write_tree
from benchmarks.retrieval.source_files import is_test
from cia.errors import SourceError

PRESENT = frozenset({"pool.py", "client.py", "tests/test_pool.py"})


def commit(subject: str, *files: str, author: str = "Ada ada@example.org") -> Commit:
    return Commit("f" * 40, author, subject, files)


def test_a_fix_asks_for_the_files_that_the_base_has() -> None:
    question = question_of(
        commit("Close idle connections after a timeout (#12)", "pool.py", "new.py", "tests/test_pool.py"), PRESENT
    )
    assert question is not None
    assert question.text == "Close idle connections after a timeout"
    assert [place.path for place in question.relevant] == ["pool.py"]


def test_a_commit_that_changes_nothing_but_tests_asks_for_them() -> None:
    question = question_of(commit("Wait for the idle timeout in the test", "tests/test_pool.py"), PRESENT)
    assert question is not None
    assert [place.path for place in question.relevant] == ["tests/test_pool.py"]


@pytest.mark.parametrize(
    "asked",
    [
        commit("Bump version to 1.2", "pool.py"),
        commit("Release 1.2.0 of the pool", "pool.py"),
        commit("Fix typo in the pool", "pool.py"),
        commit("[pre-commit.ci] pre-commit autoupdate of hooks", "pool.py"),
        commit("Update the pool for safety", "pool.py", author="dependabot[bot] x@y"),
        commit("Fix pool", "pool.py"),
        commit("Rewrite everything from the ground up", "pool.py", "client.py", "c.py", "d.py", "e.py", "f.py"),
        commit("Say more in the introduction"),
        commit("Add a whole new module", "new.py", "tests/test_pool.py"),
    ],
    ids=lambda asked: asked.subject,
)
def test_routine_commits_ask_nothing(asked: Commit) -> None:
    assert question_of(asked, PRESENT) is None


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("tests/shop.py", True),
        ("t/unit/shop.py", True),
        ("src/shop_test.go", True),
        ("src/test/java/ShopTest.java", True),
        ("conftest.py", True),
        ("src/click/testing.py", False),
        ("shop/contest.py", False),
    ],
)
def test_tests_are_known_by_the_customs_of_their_language(path: str, test: bool) -> None:
    assert is_test(path) is test


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history") / "pool"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    for number in range(8):
        (folder / "pool.py").write_text(f"LIMIT = {number}\n")
        _git(folder, "add", ".")
        _git(folder, "commit", "--quiet", "-m", f"Raise the limit of the pool to {number}")
    return folder


def test_the_tree_is_older_than_every_question(history: Path, tmp_path: Path) -> None:
    base, questions = questions_from(history, limit=2)
    write_tree(history, base, tmp_path / "tree")
    limit = int((tmp_path / "tree" / "pool.py").read_text().rpartition(" ")[2])
    assert [question.text for question in questions] == [f"Raise the limit of the pool to {limit + n}" for n in (1, 2)]


def test_a_folder_without_git_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--history"):
        git(tmp_path / "nothing", "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "a@b"}
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env={**os.environ, **who, **quiet})


def test_questions_of_the_past_are_the_last_commits_about_the_newest_tree(history: Path) -> None:
    asked = past_questions(history, limit=3)
    newest = [subject for subject in git(history, "log", "--format=%s").splitlines() if "pool" in subject]
    assert [question.text for question in asked] == newest[:3]
