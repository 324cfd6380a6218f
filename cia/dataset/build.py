"""Builds the training and evaluation sets: from the code, from a teacher, and from what users approved or corrected."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cia.corpus import Corpus
from cia.dataset.draft import Draft
from cia.dataset.filters import Filter
from cia.dataset.from_code import CodeBase, drafts, kinds_in_turn, read_code_base, unanswerable
from cia.dataset.leaks import check_no_leak, find_leaks
from cia.dataset.pair import GoldCitation, QuestionAnswerPair, Split
from cia.dataset.pair_files import EVALUATION_FILE, REPORT_FILE, TRAIN_FILE, as_lines, data_hash
from cia.dataset.production import RatedAnswer, production_drafts, rated_answers
from cia.dataset.split import common_side, content_of, unit_of
from cia.dataset.teacher import teacher_drafts
from cia.durable_files import replace_directory
from cia.errors import InputError
from cia.progress import Progress, silent
from cia.settings import DatasetSettings, Settings

BOTH_SIDES = "evidence on both sides"
ASKED_ON_BOTH_SIDES = "asked on both sides"
ELSEWHERE = "about no repository of this data set"


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What a data set holds, and what it does not.

    ``pairs`` by split, by split and kind, by source and by repository (``name@commit``); ``left_out`` counts what each filter
    took; ``data_hash`` names the set; ``teacher_cost`` is the price of the teacher's replies in it, in the prices' currency;
    ``notices`` say what its reader should know.
    """

    pairs: int
    data_hash: str
    splits: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    repos: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    teacher_cost: float = 0.0
    notices: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


@dataclass
class _Tally:
    """What is counted along the way."""

    left_out: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    cost: float = 0.0


def build(
    settings: Settings, corpus: Corpus, repos: Sequence[str] | None, directory: Path, progress: Progress = silent
) -> DatasetReport:
    """Write ``train.jsonl``, ``evaluation.jsonl`` and ``report.json`` to ``directory``, replacing it as a whole.

    ``repos`` are names in ``corpus`` (None: all). The same snapshots, settings, replies of the teacher and rated answers give
    the same bytes. Raises NotIndexedError for an unknown repository, InputError when there is none or nothing in them to ask
    about, and UnavailableError when a teacher or Langfuse is set and away.
    """
    names = sorted(set(repos)) if repos is not None else [snapshot.repo for snapshot in corpus.snapshots()]
    tally = _Tally()
    rated = rated_answers(settings)
    pairs: list[QuestionAnswerPair] = []
    heard: set[int] = set()
    for number, name in enumerate(names):
        progress("asking about the code", number, len(names))
        code = read_code_base(corpus.get(name), settings.chunking)
        about_this = [(index, answer) for index, answer in enumerate(rated) if code.repo in answer.repos()]
        heard |= {index for index, _ in about_this}
        pairs += _pairs_of(code, [answer for _, answer in about_this], settings, tally, progress)
    if not pairs:
        raise InputError("there is nothing to ask about: index a repository with documented functions or classes first")
    tally.left_out[ELSEWHERE] += len(rated) - len(heard)
    train, evaluation = _apart(pairs, tally.left_out)
    check_no_leak(train, evaluation)
    report = _report(train, evaluation, tally)
    with replace_directory(directory) as staging:
        for file, text in (
            (TRAIN_FILE, as_lines(train)),
            (EVALUATION_FILE, as_lines(evaluation)),
            (REPORT_FILE, json.dumps(report.as_json(), indent=2) + "\n"),
        ):
            (staging / file).write_text(text, encoding="utf-8", newline="\n")
    progress("asking about the code", len(names), len(names))
    return report


def _pairs_of(
    code: CodeBase, rated: Sequence[RatedAnswer], settings: Settings, tally: _Tally, progress: Progress
) -> Iterator[QuestionAnswerPair]:
    """Yield the pairs about one repository: what users asked first, so that no other source makes it a duplicate."""
    dataset = settings.dataset
    filter_ = Filter(code.repo, code.commit)
    for offered in (production_drafts(code, rated), teacher_drafts(code, settings, progress)):
        tally.left_out.update(offered.left_out)
        tally.notices += [f"{code.repo}: {notice}" for notice in offered.notices]
        tally.cost += offered.cost
        yield from _accepted(code, offered.drafts, len(offered.drafts), dataset, filter_, tally.left_out)
    random_ = random.Random(f"{dataset.seed} {code.repo}")  # seeded by text: the same in every process
    share = dataset.unanswerable_share
    wanted = round(dataset.pairs_per_repo * (1 - share))
    answered = list(_accepted(code, kinds_in_turn(drafts(code, random_)), wanted, dataset, filter_, tally.left_out))
    yield from answered
    declined = round(len(answered) * share / (1 - share))
    yield from _accepted(code, unanswerable(code, random_), declined, dataset, filter_, tally.left_out)


def _accepted(
    code: CodeBase, offered: Iterable[Draft], wanted: int, settings: DatasetSettings, filter_: Filter, left_out: Counter[str]
) -> Iterator[QuestionAnswerPair]:
    """Yield the first ``wanted`` of ``offered`` that pass, and count the others."""
    for draft in offered:
        if wanted == 0:
            return
        split = common_side(_units(code, draft), settings.evaluation_share)
        objection = BOTH_SIDES if split is None else filter_.objection(draft)
        if split is None or objection:
            left_out[objection] += 1
        else:
            wanted -= 1
            yield _pair(code, draft, split)


def _units(code: CodeBase, draft: Draft) -> set[str]:
    """What must be on the side of the draft: the definitions that it cites and the one that it asks about."""
    units = {unit_of(chunk.symbol, chunk.file_path) for chunk in draft.evidence}
    return units | ({unit_of(_about(code, draft))} if _about(code, draft) else set())


def _about(code: CodeBase, draft: Draft) -> str:
    """The definition that is asked about, or the absent name or the question of one that is not answered, else ""."""
    return draft.about if draft.about in code.definitions or not draft.evidence else ""


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
            content=content_of(chunk.text, chunk.symbol),
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
        about=_about(code, draft),
        source=draft.source,
    )


def _apart(
    pairs: Sequence[QuestionAnswerPair], left_out: Counter[str]
) -> tuple[list[QuestionAnswerPair], list[QuestionAnswerPair]]:
    """Return both sides, the training one without what repositories have in common with the other: a question, a copy."""
    train, evaluation = ([pair for pair in pairs if pair.split == split] for split in ("train", "evaluation"))
    leaking = {leak.train for leak in find_leaks(train, evaluation)}
    left_out[ASKED_ON_BOTH_SIDES] += len(leaking)
    return [pair for pair in train if pair.id not in leaking], evaluation


def _report(train: list[QuestionAnswerPair], evaluation: list[QuestionAnswerPair], tally: _Tally) -> DatasetReport:
    pairs = [*train, *evaluation]
    return DatasetReport(
        pairs=len(pairs),
        data_hash=data_hash(train, evaluation),
        splits={"train": len(train), "evaluation": len(evaluation)},
        kinds={
            split: dict(sorted(Counter(pair.kind for pair in side).items()))
            for split, side in (("train", train), ("evaluation", evaluation))
        },
        sources=dict(sorted(Counter(pair.source for pair in pairs).items())),
        repos=dict(sorted(Counter(f"{pair.repo}@{pair.commit}" for pair in pairs).items())),
        left_out={reason: count for reason, count in sorted(tally.left_out.items()) if count},
        teacher_cost=round(tally.cost, 6),
        notices=tuple(tally.notices),
    )
