"""Groups as token ids: the cards of a group once, and each of its questions with its answer beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cia.answering.cards import cards_message
from cia.answering.prompt import ABSTENTION
from runtimes.base_model.recipe.groups import CARDS, Group

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class EncodedQuestion:
    """``ids`` of the question and its answer, which begins at ``answer``; ``gold`` are the numbers of the right cards."""

    ids: Ids
    answer: int
    gold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """``cards`` are the ids up to the question; each question follows them as if it were the only one."""

    cards: Ids
    questions: tuple[EncodedQuestion, ...]

    @property
    def length(self) -> int:
        """Tokens, of the cards and all questions."""
        return len(self.cards) + sum(len(question.ids) for question in self.questions)


def encode(groups: Sequence[Group], tokenizer: PreTrainedTokenizerFast) -> Iterator[EncodedGroup]:
    """Yield each group as ids: a chat of one turn whose answer is ``[n]`` or the abstention."""
    for group in groups:
        turns = [_turn(tokenizer, group, question.text, answer_of(question.gold)) for question in group.questions]
        head, _, _ = turns[0][0].partition("Question: ")
        texts = [head, *(prompt.removeprefix(head) for prompt, _ in turns), *(answer for _, answer in turns)]
        cards, *rest = (np.array(ids, dtype=np.uint16) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
        prompts, answers = rest[: len(turns)], rest[len(turns) :]
        yield EncodedGroup(
            cards,
            tuple(
                EncodedQuestion(np.concatenate([prompt, answer]), len(prompt), question.gold)
                for prompt, answer, question in zip(prompts, answers, group.questions, strict=True)
            ),
        )


def answer_of(gold: Sequence[int]) -> str:
    """Return what should be said: the number of the first right card, or the abstention."""
    return f"[{gold[0]}]" if gold else ABSTENTION


def choice_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Return the first tokens of all that may be said: of the abstention, then ``[1]`` to ``[5]``."""
    abstention = tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"][0]
    return [abstention, *tokenizer.convert_tokens_to_ids([f"[{number}]" for number in range(1, CARDS + 1)])]


def _turn(tokenizer: PreTrainedTokenizerFast, group: Group, question: str, answer: str) -> tuple[str, str]:
    """Return the prompt as the chat template writes it, and the answer with the end of its turn."""
    asked = [{"role": "user", "content": cards_message(question, group.cards)}]
    prompt: str = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    return prompt, f"{answer}{tokenizer.eos_token}"
