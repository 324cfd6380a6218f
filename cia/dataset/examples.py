"""From a pair to what a model is trained on: the very prompt of serving, and what should follow it.

For prose, the context holds the gold chunks among others that the question also finds, in a shuffled order, so that a model
learns to pick the right excerpt by what it says and not by where it stands; the answer follows, with its citations as numbers.
For a choice, the question is one that serving would ask a model, and the context what it would find, mostly in its order, which
tells something too; a number follows, or the abstention when no excerpt is right. A definition of the evaluation set is never
shown in training, and secrets are masked, as in serving.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.answering.abstention import Evidence, rarity_in, weigh
from cia.answering.prompt import ABSTENTION, Budget, Prompt, build_prompt, estimate_tokens
from cia.answering.secrets import masked
from cia.chunking import language_of
from cia.corpus import Corpus
from cia.dataset.from_code.definitions import name_of
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.dataset.split import split_of, unit_of
from cia.durable_files import replace_text
from cia.progress import Progress, silent
from cia.retrieval.result import SearchResult
from cia.settings import AnswerForm, Settings

if TYPE_CHECKING:
    from cia.retrieval import Retriever

FEWEST_DISTRACTORS, MOST_DISTRACTORS = 2, 4
SHUFFLED_SHARE = 0.25
"""Of the choices: enough that a model goes on reading the cards, and does not just trust the order that it sees in serving.
Trained on the order of serving alone, right choices among shuffled cards fell from 0.87 to 0.58; with a share of 0.4 they stayed,
but a question in a person's words was then answered with the first place too seldom."""

FOUND = 20
"""Hits asked for: enough to leave some when those of the other side and those beside the gold are taken out."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """The messages of a prompt, the text that should follow them, and what another text can be checked against.

    ``check`` holds ``form``, ``choices`` (all that may be said; empty for prose), ``places`` (what ``[1]``, ``[2]`` and so on
    mean: repo, file_path, line_start, line_end, text) and ``gold`` (the lines that a right answer cites; none: it declines).
    """

    messages: list[dict[str, str]]
    completion: str
    check: dict[str, Any]


def training_examples(
    pairs: Sequence[QuestionAnswerPair], retriever: Retriever, settings: Settings, progress: Progress = silent
) -> Iterator[TrainingExample]:
    """Yield an example for each of ``pairs`` that makes one.

    For prose, all but those whose gold chunks do not fit into the window; for a choice, all but those that are declined before
    a model is asked, and those of which the search is sure but wrong.

    The same pairs, index and settings give the same examples. Raises NotIndexedError when a repository is gone.
    """
    corpus = Corpus(settings)
    for number, pair in enumerate(pairs):
        progress("packing examples", number, len(pairs))
        found = _found(pair, retriever, settings)
        if settings.model.form == "choice":
            evidence = weigh(pair.question, found[: settings.retrieval.limit], rarity_in(retriever, [pair.repo]))
            example = _choice(pair, found, evidence, settings)
        else:
            gold = [masked(_chunk(corpus, citation)) for citation in pair.citations]
            example = _prose(pair, gold, _distractors(pair, gold, found, settings), settings)
        if example is not None:
            yield example
    progress("packing examples", len(pairs), len(pairs))


def write_examples(examples: Iterable[TrainingExample], path: Path) -> int:
    """Write ``examples`` as JSON Lines of ``messages`` and ``completion``, atomically; return how many there were."""
    lines = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    replace_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _choice(
    pair: QuestionAnswerPair, found: Sequence[SearchResult], evidence: Evidence, settings: Settings
) -> TrainingExample | None:
    if not evidence.answerable:
        return None
    context = list(found[: settings.answering.context_chunks])
    random_ = random.Random(f"{settings.dataset.seed} {pair.id}")
    if random_.random() < SHUFFLED_SHARE:
        random_.shuffle(context)
    budget = Budget(min(settings.model.context_tokens, settings.training.max_tokens))
    prompt = build_prompt(pair.question, context, budget, "choice", evidence.sure, offer_all=True)
    right = (n for n, shown in enumerate(prompt.context, start=1) if any(_overlap(shown, gold) for gold in pair.citations))
    completion = next((f"[{number}]" for number in right), ABSTENTION)
    return TrainingExample(prompt.messages, completion, _check(pair, prompt, "choice")) if completion in prompt.choices else None


def _check(pair: QuestionAnswerPair, prompt: Prompt, form: AnswerForm) -> dict[str, Any]:
    lines = ("repo", "file_path", "line_start", "line_end")
    return {
        "form": form,
        "choices": list(prompt.choices),
        "places": [{name: getattr(shown, name) for name in (*lines, "text")} for shown in prompt.context],
        "gold": [{name: getattr(citation, name) for name in lines} for citation in pair.citations],
    }


def _prose(
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
            return TrainingExample(prompt.messages, _with_numbers(pair, numbers), _check(pair, prompt, "prose"))
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


def _found(pair: QuestionAnswerPair, retriever: Retriever, settings: Settings) -> list[SearchResult]:
    """What the question finds, best first, without what is on the other side of the split."""
    share = settings.dataset.evaluation_share
    found = retriever.search(pair.question, repos=[pair.repo], limit=FOUND).results
    return [masked(result) for result in found if split_of(unit_of(result.symbol, result.file_path), share) == pair.split]


def _distractors(
    pair: QuestionAnswerPair, gold: list[SearchResult], found: Sequence[SearchResult], settings: Settings
) -> list[SearchResult]:
    others = [result for result in found if not any(_overlap(result, chunk) for chunk in gold)]
    wanted = random.Random(f"{settings.dataset.seed} {pair.id} distractors").randint(FEWEST_DISTRACTORS, MOST_DISTRACTORS)
    return others[:wanted]


def _overlap(one: SearchResult, other: SearchResult | GoldCitation) -> bool:
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
