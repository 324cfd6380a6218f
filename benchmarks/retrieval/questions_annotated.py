"""Questions that people wrote, with the places that answer them.

Ours are JSON Lines, one question a line: ``{"query", "repo", "category", "relevant": [{"path", "start", "end"}]}``, where
``repo`` is anything that ``cia index`` takes, and a place without lines means the whole file. Those in ``questions/`` were
written for this benchmark. A folder given with ``--annotations`` may hold such files, or semble's: lists of ``{"query",
"relevant", "secondary"}`` in ``NAME.json``, and a ``repos.json`` that pins revisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.retrieval.question import Place, Question
from cia.errors import InputError

OWN_QUESTIONS = Path(__file__).parent / "questions"


@dataclass(frozen=True, slots=True)
class PinnedRepository:
    """Where semble's annotations of ``name`` hold: a revision, and the folder of it that is indexed ("" for all)."""

    name: str
    revision: str
    folder: str


def read_jsonl(folder: Path) -> dict[str, tuple[Question, ...]]:
    """Return the questions of every ``*.jsonl`` in ``folder`` by repository source. Raises InputError that names the line."""
    questions: dict[str, list[Question]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                places = tuple(Place(place["path"], place.get("start"), place.get("end")) for place in entry["relevant"])
                question = Question(f"{file.stem}-{number}", entry["query"], places)
                questions.setdefault(entry["repo"], []).append(question)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{file}:{number} is no annotated question ({error!r}); it needs query, repo and relevant"
                ) from None
    return {repo: tuple(asked) for repo, asked in questions.items()}


def read_semble(folder: Path) -> list[tuple[PinnedRepository, tuple[Question, ...]]]:
    """Return semble's annotations in ``folder``, or nothing when it has no ``repos.json``."""
    if not (folder / "repos.json").exists():
        return []
    annotated = []
    for entry in json.loads((folder / "repos.json").read_text(encoding="utf-8")):
        file = folder / f"{entry['name']}.json"
        if file.exists():
            pinned = PinnedRepository(entry["name"], entry["revision"], entry.get("benchmark_root") or "")
            items = json.loads(file.read_text(encoding="utf-8"))
            annotated.append((pinned, tuple(_question(file.stem, number, item) for number, item in enumerate(items))))
    return annotated


def placed(questions: Iterable[Question], paths: Iterable[str]) -> tuple[Question, ...]:
    """Return the questions with each place's path completed to the one of ``paths`` that ends in it.

    Annotations may give paths from the root of the repository or from a folder of it. A place in no file is left out, and
    so is a question that loses all of its places.
    """
    known = sorted(paths, key=len)
    found = []
    for question in questions:
        places = []
        for place in question.relevant:
            path = next((path for path in known if path == place.path or path.endswith(f"/{place.path}")), None)
            if path:
                places.append(Place(path, place.start, place.end))
        if places:
            found.append(Question(question.id, question.text, tuple(places)))
    return tuple(found)


def _question(repo: str, number: int, item: dict[str, Any]) -> Question:
    targets = [*item.get("relevant", []), *item.get("secondary", [])]
    places = tuple(
        Place(target) if isinstance(target, str) else Place(target["path"], target.get("start_line"), target.get("end_line"))
        for target in targets
    )
    return Question(f"{repo}-{number}", item["query"], places)
