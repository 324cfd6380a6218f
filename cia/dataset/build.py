"""Builds the training and evaluation sets from indexed code, without a model."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cia.corpus import Corpus
from cia.dataset.definitions import CodeBase, read_code_base
from cia.dataset.filters import Filter
from cia.dataset.pair import GoldCitation, QuestionAnswerPair, Split
from cia.dataset.questions import Draft, drafts, kinds_in_turn
from cia.dataset.unanswerable import unanswerable
from cia.durable_files import replace_directory
from cia.errors import InputError, OperationError
from cia.progress import Progress, silent
from cia.settings import DatasetSettings, Settings

TRAIN_FILE = "train.jsonl"
EVALUATION_FILE = "evaluation.jsonl"
REPORT_FILE = "report.json"


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What a data set holds: pairs by split, by kind and by repository (``name@commit``), and drafts left out, by reason."""

    pairs: int
    splits: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    repos: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


def build(
    settings: Settings, corpus: Corpus, repos: Sequence[str] | None, directory: Path, progress: Progress = silent
) -> DatasetReport:
    """Write ``train.jsonl``, ``evaluation.jsonl`` and ``report.json`` to ``directory``, replacing it as a whole.

    ``repos`` are names in ``corpus`` (None: all). The same snapshots and settings give the same bytes. Raises NotIndexedError
    for an unknown repository and InputError when there is none, or nothing in them to ask about.
    """
    names = sorted(set(repos)) if repos is not None else [snapshot.repo for snapshot in corpus.snapshots()]
    pairs: list[QuestionAnswerPair] = []
    left_out: Counter[str] = Counter()
    for number, name in enumerate(names):
        progress("asking about the code", number, len(names))
        code = read_code_base(corpus.get(name), settings.chunking)
        made = _pairs_of(code, settings.dataset, left_out)
        pairs += made
    if not pairs:
        raise InputError("there is nothing to ask about: index a repository with documented functions or classes first")
    pairs = _without_shared_questions(pairs, left_out)
    train, evaluation = ([pair for pair in pairs if pair.split == split] for split in ("train", "evaluation"))
    check_no_leak(train, evaluation)
    report = DatasetReport(
        pairs=len(pairs),
        splits={"train": len(train), "evaluation": len(evaluation)},
        kinds={
            split: dict(sorted(Counter(p.kind for p in pairs if p.split == split).items())) for split in ("train", "evaluation")
        },
        repos=dict(Counter(f"{pair.repo}@{pair.commit}" for pair in pairs)),
        left_out={reason: count for reason, count in sorted(left_out.items()) if count},
    )
    with replace_directory(directory) as staging:
        _write_lines(staging / TRAIN_FILE, train)
        _write_lines(staging / EVALUATION_FILE, evaluation)
        (staging / REPORT_FILE).write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    progress("asking about the code", len(names), len(names))
    return report


def load(path: Path) -> list[QuestionAnswerPair]:
    """Return the pairs of a JSON Lines file. Raises InputError that names the file and line that is not one."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; `python -m cia.dataset` makes it") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                pairs.append(QuestionAnswerPair.model_validate_json(line))
            except ValueError:
                raise InputError(f"{path} line {number} is not a question-answer pair; build the data set again") from None
    return pairs


def split_of(repo: str, path: str, evaluation_share: float) -> Split:
    """Return the side on which everything about this file is, whatever else is in the data set."""
    draw = int.from_bytes(hashlib.sha256(f"{repo}\0{path}".encode()).digest()[:8]) / 2**64
    return "evaluation" if draw < evaluation_share else "train"


def check_no_leak(train: Sequence[QuestionAnswerPair], evaluation: Sequence[QuestionAnswerPair]) -> None:
    """Raise OperationError when a file, a definition or a question of ``evaluation`` is also in ``train``."""
    for what, of in (("file", _files), ("definition", _definitions), ("question", _question)):
        shared = set().union(*map(of, train)) & set().union(*map(of, evaluation))
        if shared:
            raise OperationError(f"the {what} {min(shared)} is in both the training and the evaluation set")


def _pairs_of(code: CodeBase, settings: DatasetSettings, left_out: Counter[str]) -> list[QuestionAnswerPair]:
    random_ = random.Random(f"{settings.seed} {code.repo}")  # seeded by text: the same in every process
    filter_ = Filter()
    share = settings.unanswerable_share

    def accepted(offered: Iterable[Draft], wanted: int) -> Iterator[QuestionAnswerPair]:
        for draft in offered:
            if wanted == 0:
                return
            split = _split_of_draft(code, draft, settings.evaluation_share)
            objection = "evidence on both sides" if split is None else filter_.objection(draft)
            if split is None or objection:
                left_out[objection] += 1
            else:
                wanted -= 1
                yield _pair(code, draft, split)

    answered = list(accepted(kinds_in_turn(drafts(code, random_)), round(settings.pairs_per_repo * (1 - share))))
    return [*answered, *accepted(unanswerable(code, random_), round(len(answered) * share / (1 - share)))]


def _split_of_draft(code: CodeBase, draft: Draft, evaluation_share: float) -> Split | None:
    """The side of all files that the draft is about, None when they are not on one; of the question when there are none."""
    files = {chunk.file_path for chunk in draft.evidence}
    if draft.about in code.definitions:
        files.add(code.definitions[draft.about].file_path)
    sides = {split_of(code.repo, path, evaluation_share) for path in files or {draft.about}}
    return sides.pop() if len(sides) == 1 else None


def _pair(code: CodeBase, draft: Draft, split: Split) -> QuestionAnswerPair:
    identity = "\0".join((code.repo, code.commit, draft.kind, draft.question))
    citations = [
        GoldCitation(
            repo=code.repo,
            commit=code.commit,
            file_path=chunk.file_path,
            line_start=chunk.line_start,
            line_end=chunk.line_end,
            symbol=chunk.symbol,
        )
        for chunk in draft.evidence
    ]
    return QuestionAnswerPair(
        id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        kind=draft.kind,
        question=draft.question,
        answer=draft.answer,
        citations=tuple(citations),
        repo=code.repo,
        commit=code.commit,
        split=split,
    )


def _files(pair: QuestionAnswerPair) -> set[str]:
    return {f"{citation.repo}/{citation.file_path}" for citation in pair.citations}


def _definitions(pair: QuestionAnswerPair) -> set[str]:
    named = set(re.findall(r"`([^`]+)`", pair.question)) if pair.kind in ("callers", "unanswerable") else set()
    return {f"{pair.repo}: {symbol}" for symbol in named | {citation.symbol for citation in pair.citations}}


def _question(pair: QuestionAnswerPair) -> set[str]:
    return {" ".join(pair.question.lower().split())}


def _without_shared_questions(pairs: list[QuestionAnswerPair], left_out: Counter[str]) -> list[QuestionAnswerPair]:
    """Drop from training what is asked in the same words in the evaluation set, which two repositories may do."""
    evaluated = set().union(*(_question(pair) for pair in pairs if pair.split == "evaluation"))
    kept = [pair for pair in pairs if pair.split == "evaluation" or not _question(pair) & evaluated]
    left_out["asked on both sides"] += len(pairs) - len(kept)
    return kept


def _write_lines(path: Path, pairs: Sequence[QuestionAnswerPair]) -> None:
    path.write_text("".join(f"{pair.model_dump_json()}\n" for pair in pairs), encoding="utf-8", newline="\n")
