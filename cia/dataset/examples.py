"""From a pair to what a model is trained on: the very prompt of serving, and the answer with its citations as numbers.

The context holds the gold chunks among others that the question also finds, in a shuffled order, so that a model learns to
pick the right excerpt by what it says and not by where it stands. A definition of the evaluation set is never shown in
training, and secrets are masked, as in serving.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cia.answering.prompt import Budget, Prompt, build_prompt, estimate_tokens
from cia.answering.secrets import masked
from cia.chunking import language_of
from cia.corpus import Corpus
from cia.dataset.from_code.definitions import name_of
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.dataset.split import split_of, unit_of
from cia.durable_files import replace_text
from cia.progress import Progress, silent
from cia.retrieval.result import SearchResult
from cia.settings import Settings

if TYPE_CHECKING:
    from cia.retrieval import Retriever

FEWEST_DISTRACTORS, MOST_DISTRACTORS = 2, 4
FOUND = 20
"""Hits asked for: enough to leave some when those of the other side and those beside the gold are taken out."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """The messages of a prompt and the text that should follow them."""

    messages: list[dict[str, str]]
    completion: str


def training_examples(
    pairs: Sequence[QuestionAnswerPair], retriever: Retriever, settings: Settings, progress: Progress = silent
) -> Iterator[TrainingExample]:
    """Yield an example for each of ``pairs`` whose gold chunks fit into the model's window; the others are passed over.

    The same pairs, index and settings give the same examples. Raises NotIndexedError when a repository is gone.
    """
    corpus = Corpus(settings)
    for number, pair in enumerate(pairs):
        progress("packing examples", number, len(pairs))
        gold = [masked(_chunk(corpus, citation)) for citation in pair.citations]
        example = _example(pair, gold, _distractors(pair, gold, retriever, settings), settings)
        if example is not None:
            yield example
    progress("packing examples", len(pairs), len(pairs))


def write_examples(examples: Iterable[TrainingExample], path: Path) -> int:
    """Write ``examples`` as JSON Lines of ``messages`` and ``completion``, atomically; return how many there were."""
    lines = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    replace_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _example(
    pair: QuestionAnswerPair, gold: list[SearchResult], distractors: list[SearchResult], settings: Settings
) -> TrainingExample | None:
    """Return the example with as many distractors as leave room for the gold, None when the gold does not even fit alone."""
    window = min(settings.model.context_tokens, settings.training.max_tokens)
    budget = Budget(window - estimate_tokens(pair.answer))
    # A caller cut short of its call would teach the model to guess.
    called = name_of(pair.question.split("`")[1]) if pair.kind == "callers" else ""
    for kept in range(len(distractors), -1, -1):
        context = [*gold, *distractors[:kept]]
        random.Random(f"{settings.dataset.seed} {pair.id}").shuffle(context)
        prompt = build_prompt(pair.question, context, budget)
        numbers = [_number(prompt, chunk, called) for chunk in gold]
        if all(numbers) and prompt.context:
            return TrainingExample(prompt.messages, _with_numbers(pair, numbers))
    return None


def _number(prompt: Prompt, gold: SearchResult, named: str) -> int:
    """The number under which ``gold`` is shown, with the line that mentions ``named``; 0 when it is not."""
    place = (gold.file_path, gold.line_start)
    return next(
        (
            number
            for number, shown in enumerate(prompt.context, start=1)
            if (shown.file_path, shown.line_start) == place and named in shown.text
        ),
        0,
    )


def _with_numbers(pair: QuestionAnswerPair, numbers: list[int]) -> str:
    text = pair.answer
    for citation, number in zip(pair.citations, numbers, strict=True):
        text = text.replace(f"[{citation.repo}/{citation.file_path}:{citation.line_start}-{citation.line_end}]", f"[{number}]")
    return text


def _distractors(
    pair: QuestionAnswerPair, gold: list[SearchResult], retriever: Retriever, settings: Settings
) -> list[SearchResult]:
    found = retriever.search(pair.question, repos=[pair.repo], limit=FOUND).results
    share = settings.dataset.evaluation_share
    others = [
        masked(result)
        for result in found
        if split_of(unit_of(result.symbol, result.file_path), share) == pair.split
        and not any(_overlap(result, chunk) for chunk in gold)
    ]
    wanted = random.Random(f"{settings.dataset.seed} {pair.id} distractors").randint(FEWEST_DISTRACTORS, MOST_DISTRACTORS)
    return others[:wanted]


def _overlap(one: SearchResult, other: SearchResult) -> bool:
    return one.file_path == other.file_path and one.line_start <= other.line_end and other.line_start <= one.line_end


def _chunk(corpus: Corpus, citation: GoldCitation) -> SearchResult:
    snapshot = corpus.get(citation.repo, citation.commit)
    lines = snapshot.lines(citation.file_path, citation.line_start, citation.line_end)
    return SearchResult(
        repo=citation.repo,
        commit=citation.commit,
        file_path=citation.file_path,
        line_start=citation.line_start,
        line_end=citation.line_end,
        language=language_of(citation.file_path, snapshot.read_bytes(citation.file_path)),
        symbol=citation.symbol,
        kind="function",
        score=0.0,
        text="\n".join(lines),
    )
