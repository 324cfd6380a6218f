"""The question sets of a run: which repositories, in which split, built once and kept."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.retrieval.question import Kind, Question, QuestionSet, Split
from benchmarks.retrieval.questions_annotated import OWN_QUESTIONS, PinnedRepository, placed, read_jsonl, read_semble
from benchmarks.retrieval.questions_commit import git, known_revision, past_questions, questions_from, write_tree
from benchmarks.retrieval.questions_docstring import strip_files
from cia.corpus import Corpus, Snapshot
from cia.durable_files import replace_directory, replace_text
from cia.settings import load_settings

TUNED_ON = frozenset(
    {
        "Dapper", "Slim", "attrs", "axios", "cJSON", "chi", "client_golang", "commons-io", "flask", "gin", "gorm",
        "gson", "jackson-core", "javapoet", "kombu", "marshmallow", "mux", "pydantic", "pytest", "requests",
        "retrofit", "rich", "scrapy", "starlette", "tox", "urllib3", "zap", "zustand"
    }
)  # fmt: skip
"""Repositories that may be looked at while retrieval is tuned; every other one is only ever reported on."""

REPORTED = frozenset(
    {"aiohttp", "celery", "cli", "click", "cobra", "guice", "httpx", "jinja", "jinja2", "junit4", "werkzeug"}
)  # fmt: skip
"""Repositories that nothing is ever tuned or trained on."""

QUESTIONED = TUNED_ON | REPORTED
"""Repositories that the carried word vectors may not be trained on."""

DOCSTRING_SDISTS = (
    "attrs==26.1.0", "flask==3.1.2", "marshmallow==4.4.0", "requests==2.34.2", "rich==15.0.0", "starlette==1.10.0",
    "celery==5.7.0", "click==8.3.3", "httpx==0.28.1", "jinja2==3.1.6", "werkzeug==3.1.9",
)  # fmt: skip
DOCSTRINGS_A_REPOSITORY = 260
"""A seeded sample, so that one large repository does not decide the mean."""
SEED = 7
RECIPES: dict[Kind, int] = {"docstring": 1, "history": 1, "commit": 2, "annotated": 1, "external": 1}
"""Raised when the same sources would give other questions, so that kept sets are made again."""


def split_of(repo: str) -> Split:
    """Return the split that a repository belongs to, in every kind."""
    return "tune" if repo in TUNED_ON else "report"


class QuestionSets:
    """Builds sets below ``cache``, and finds those that were built before."""

    def __init__(self, cache: Path) -> None:
        self._sets = cache / "sets"
        self._corpus = Corpus(load_settings(environment={**os.environ, "CIA_HOME": str(cache / "sources")}))

    def docstring(self, wanted: Callable[[str], bool]) -> list[QuestionSet]:
        """Return the docstring sets of the pinned packages whose name is ``wanted``."""
        return [self._docstring(pin) for pin in DOCSTRING_SDISTS if wanted(pin.partition("==")[0])]

    def commit(self, histories: Sequence[Path], wanted: Callable[[str], bool]) -> list[QuestionSet]:
        """Return the commit sets of those git repositories that are ``wanted``. Raises SourceError for another folder."""
        named = [(repository_name(path), path) for path in histories]
        return [self._commit(name, path) for name, path in named if wanted(name)]

    def history(self, histories: Sequence[Path], wanted: Callable[[str], bool]) -> list[QuestionSet]:
        """Return the sets about past commits of those git repositories that are ``wanted``. Raises SourceError."""
        named = [(repository_name(path), path) for path in histories]
        return [self._history(name, path) for name, path in named if wanted(name)]

    def annotated(
        self, wanted: Callable[[str], bool], folder: Path = OWN_QUESTIONS, kind: Kind = "annotated"
    ) -> list[QuestionSet]:
        """Return the sets of the JSON Lines in ``folder`` that are ``wanted``."""
        sets = []
        for source, questions in read_jsonl(folder).items():
            snapshot = self._corpus.add(source)
            if wanted(snapshot.repo):
                sets.append(self._annotated(kind, snapshot, questions))
        return sets

    def semble(
        self, folder: Path, histories: Sequence[Path], wanted: Callable[[str], bool]
    ) -> tuple[list[QuestionSet], list[str]]:
        """Return the sets of semble's annotations whose history is given, and a line for each revision that is not in it."""
        paths = {repository_name(path): path for path in histories}
        sets, notices = [], []
        for pinned, questions in read_semble(folder):
            if pinned.name in paths and wanted(pinned.name):
                history = paths[pinned.name]
                revision = known_revision(history, pinned.revision)
                if revision != pinned.revision:
                    notices.append(f"{pinned.name}: {pinned.revision[:12]} is not in the history; {revision[:12]} stands in")
                sets.append(self._semble(pinned, questions, history, revision))
        return sets, notices

    def _semble(self, pinned: PinnedRepository, questions: Iterable[Question], history: Path, revision: str) -> QuestionSet:
        def build(target: Path) -> tuple[Question, ...]:
            write_tree(history, revision, target, pinned.folder)
            return ()

        tree = self._kept("external", pinned.name, f"{revision}:{pinned.folder}", build).tree
        files = [path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()]
        return QuestionSet("external", pinned.name, split_of(pinned.name), tree, placed(questions, files))

    def _docstring(self, pin: str) -> QuestionSet:
        name = pin.partition("==")[0]

        def build(target: Path) -> tuple[Question, ...]:
            snapshot = self._corpus.add(f"pypi:{pin}")
            questions = strip_files(((file.path, snapshot.read_bytes(file.path)) for file in snapshot.files), target)
            chosen = random.Random(SEED).sample(range(len(questions)), min(DOCSTRINGS_A_REPOSITORY, len(questions)))
            return tuple(questions[number] for number in sorted(chosen))

        return self._kept("docstring", name, pin, build)

    def _commit(self, name: str, history: Path) -> QuestionSet:
        def build(target: Path) -> tuple[Question, ...]:
            base, questions = questions_from(history)
            write_tree(history, base, target)
            return questions

        return self._kept("commit", name, git(history, "rev-parse", "HEAD").strip(), build)

    def _history(self, name: str, history: Path) -> QuestionSet:
        def build(target: Path) -> tuple[Question, ...]:
            write_tree(history, "HEAD", target)
            return past_questions(history)

        return self._kept("history", name, git(history, "rev-parse", "HEAD").strip(), build)

    def _annotated(self, kind: Kind, snapshot: Snapshot, questions: tuple[Question, ...]) -> QuestionSet:
        def build(target: Path) -> tuple[Question, ...]:
            for file in snapshot.files:
                copy = target / file.path
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(snapshot.read_bytes(file.path))
            return ()

        tree = self._kept(kind, snapshot.repo, snapshot.commit, build).tree
        return QuestionSet(kind, snapshot.repo, split_of(snapshot.repo), tree, questions)

    def _kept(self, kind: Kind, name: str, pin: str, build: Callable[[Path], tuple[Question, ...]]) -> QuestionSet:
        folder = self._sets / kind / name
        record = folder / "questions.json"
        spec = f"{pin} recipe {RECIPES[kind]}"
        if not record.exists() or json.loads(record.read_text())["spec"] != spec:
            with replace_directory(folder) as staging:
                (staging / "tree").mkdir()
                asked = [question.as_json() for question in build(staging / "tree")]
                replace_text(staging / "questions.json", json.dumps({"spec": spec, "questions": asked}, indent=1))
        questions = tuple(Question.from_json(entry) for entry in json.loads(record.read_text())["questions"])
        return QuestionSet(kind, name, split_of(name), folder / "tree", questions)


def sampled(question_set: QuestionSet, limit: int | None) -> QuestionSet:
    """Return ``question_set`` with at most ``limit`` of its questions, the same ones each time."""
    if limit is None or len(question_set.questions) <= limit:
        return question_set
    chosen = sorted(random.Random(SEED).sample(range(len(question_set.questions)), limit))
    questions = tuple(question_set.questions[number] for number in chosen)
    return QuestionSet(question_set.kind, question_set.repo, question_set.split, question_set.tree, questions)


def repository_name(history: Path) -> str:
    """Return the name of a git repository from its path, ``.git`` at the end or not."""
    name = history.name if history.name != ".git" else history.absolute().parent.name
    return name.removesuffix(".git")
