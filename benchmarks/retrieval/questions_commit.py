"""Questions made of git history: does a search for a commit's message find the files that the commit changed?

Asked in two ways. Of the past: the tree is the newest, the questions are the last commits that led to it. Of the future: the
tree is that of a base commit, the questions are commits made after it, so nothing of the change is in the tree.

Merges, robots, releases, formatting and messages under three words are left out. A commit changes one to five source files,
and those that the tree has are the answer: without the tests that came along, unless the commit changed nothing but tests,
which is a question about tests and is scored apart.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

from benchmarks.retrieval.question import Place, Question
from benchmarks.retrieval.source_files import is_source, is_test
from cia.errors import SourceError

QUESTIONS = 100
"""A history gives at most this many: the first ones after its base commit, when the tree is most like what they changed."""
READ_AT_MOST = 3000
"""Of a history's main line, for questions of the past."""
MAX_FILES = 5
MIN_WORDS = 3
ROBOT = re.compile(r"\[bot\]|dependabot|pre-commit-ci|renovate|github-actions|greenkeeper|pyup", re.I)
ROUTINE = re.compile(
    r"^\W*(bump|release|prepare|version|upgrade|update (dependenc|requirement|version|copyright|changelog|readme|authors|license)"
    r"|v?\d+\.\d+|merge|revert|changelog|pre-commit|maven-release-plugin|typos?\b"
    r"|fix(ed|es)? (a |some |minor )?(typo|lint|flake8|pep8|black|isort|format)"
    r"|(run|apply|use) (black|ruff|isort|pyupgrade|gofmt|google-java-format)|black\b|isort\b|lint|format|reformat|wip\b|review)",
    re.I,
)
REFERENCE = re.compile(
    r"\s*\(?(close[sd]?|fix(es|ed)?|resolve[sd]?|refs?|see|pr)?:?\s*(gh-|#)\d+\)?|\[skip ci\]|\[ci skip\]", re.I
)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit after the base: its first line, and the source files that it touched."""

    id: str
    author: str
    subject: str
    files: tuple[str, ...]


def questions_from(history: Path, limit: int = QUESTIONS) -> tuple[str, tuple[Question, ...]]:
    """Return the id of a base commit of ``history`` and up to ``limit`` questions about its tree.

    The base is the newest commit on the main line that has enough questions after it, or else the one in the middle.
    Raises SourceError when ``history`` is no git repository.
    """
    line = git(history, "rev-list", "--first-parent", "HEAD").split()
    back = limit
    while back < len(line) // 2:
        questions = _questions_after(history, line[back])
        if len(questions) >= limit:
            return line[back], questions[:limit]
        back = int(back * 1.5)
    base = line[len(line) // 2]
    return base, _questions_after(history, base)[:limit]


def past_questions(history: Path, limit: int = QUESTIONS) -> tuple[Question, ...]:
    """Return up to ``limit`` questions about the newest tree of ``history``: its last commits. Raises SourceError."""
    line = git(history, "rev-list", "--first-parent", "HEAD").split()
    base = line[min(len(line) - 1, READ_AT_MOST)]
    return _distinct(source_paths(history, "HEAD"), commits(history, f"{base}..HEAD"), limit)


def write_tree(history: Path, commit: str, target: Path, below: str = "") -> None:
    """Write the files of ``history`` at ``commit`` to ``target``; with ``below``, only those in that folder."""
    command = ["git", "-C", str(history), "archive", "--format=tar", commit, *([below] if below else [])]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(target, filter="data", members=[member for member in tar if member.isfile()])


def git(history: Path, *arguments: str) -> str:
    """Return what git prints. Raises SourceError with its last line when it fails."""
    command = ["git", "-C", str(history), "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SourceError(f"{history} cannot be read as a git repository: {' '.join(reason)}; give --history the path of one")
    return done.stdout.decode("utf-8", errors="replace")


def known_revision(history: Path, revision: str) -> str:
    """Return ``revision`` if ``history`` holds that commit, else the id of its newest one."""
    try:
        return git(history, "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    except SourceError:
        return git(history, "rev-parse", "HEAD").strip()


def question_of(commit: Commit, present: frozenset[str]) -> Question | None:
    """Return the question that ``commit`` asks of a tree with the files ``present``, or None when it asks none."""
    if ROBOT.search(commit.author) or ROUTINE.match(commit.subject) or not 1 <= len(commit.files) <= MAX_FILES:
        return None
    text = REFERENCE.sub("", commit.subject).strip().rstrip(".").strip()
    if len(re.findall(r"[A-Za-z]\w+", text)) < MIN_WORDS:
        return None
    asked_about = [path for path in commit.files if not is_test(path)] or commit.files
    places = tuple(Place(path) for path in asked_about if path in present)
    return Question(f"commit-{commit.id[:12]}", text, places) if places else None


def _questions_after(history: Path, base: str) -> tuple[Question, ...]:
    return _distinct(source_paths(history, base), commits(history, "--reverse", f"{base}..HEAD"))


def source_paths(history: Path, commit: str) -> frozenset[str]:
    """Return the paths of the source files that ``history`` has at ``commit``."""
    paths = git(history, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")
    return frozenset(path for path in paths if is_source(path))


def _distinct(present: frozenset[str], commits: Iterable[Commit], limit: int | None = None) -> tuple[Question, ...]:
    asked = (question_of(commit, present) for commit in commits)
    seen: dict[str, Question] = {}
    for question in asked:
        if question:
            seen.setdefault(question.text.lower(), question)
        if limit is not None and len(seen) == limit:
            break
    return tuple(seen.values())


def commits(history: Path, *which: str) -> Iterator[Commit]:
    """Yield the commits that ``which`` (options and a range of git log) names, merges left out, newest first."""
    layout = "--format=%x1e%H%x1f%an %ae%x1f%s%x1f"
    log = git(history, "log", "--no-merges", "--no-renames", "--name-only", layout, *which)
    for entry in islice(log.split("\x1e"), 1, None):
        identity, author, subject, files = entry.split("\x1f", 3)
        yield Commit(identity, author, subject, tuple(path for path in files.split("\n") if path and is_source(path)))
