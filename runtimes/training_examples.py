"""What a model learns from: examples read from a file, some of them held out, and all as token ids."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cia.errors import InputError

MOST_HELD_OUT = 64
"""More would cost a short training more time than they tell."""


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation up to the question, and the answer to learn. ``check`` is what rewards look at, see ``runtimes.rewards``."""

    messages: list[dict[str, str]]
    completion: str
    check: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoded:
    """Rows of ``input_ids`` and ``completion_mask`` (1 where the loss is), and how many examples were cut or left out."""

    rows: list[dict[str, list[int]]]
    cut: int
    left_out: int

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(row["input_ids"]) for row in self.rows)

    @property
    def longest_completion(self) -> int:
        """Tokens of the longest completion."""
        return max(sum(row["completion_mask"]) for row in self.rows)


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a JSON Lines file. Raises InputError that names the line which is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the examples cannot be read from {path}: {error}") from error
    examples = [_example(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not examples:
        raise InputError(f"{path} holds no examples; build the data set again and see its report")
    return examples


def hold_out(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Return the examples to learn from and those to watch the loss on: about ``share`` of them, at most 64, never all.

    Questions about the same lines stay on one side, or the loss would fall by mere recognition.
    """
    place = {id(example): zlib.crc32(_subject(example).encode()) / 2**32 for example in examples}
    most = min(MOST_HELD_OUT, round(share * len(examples)), len(examples) - 1)
    held_out: list[Example] = []
    for example in sorted(examples, key=lambda example: place[id(example)]):
        if len(held_out) >= most and (not held_out or place[id(example)] != place[id(held_out[-1])]):
            break
        held_out.append(example)
    if len(held_out) == len(examples):
        return list(examples), []
    chosen = {id(example) for example in held_out}
    return [example for example in examples if id(example) not in chosen], held_out


def encode(examples: Sequence[Example], tokenizer: Any, max_tokens: int) -> Encoded:
    """Return the examples as token ids of at most ``max_tokens``.

    The prompt is tokenised by itself, exactly as the server will, so that training and serving see the same
    ids. A long example loses the start of its prompt, for the question stands at the end; one whose completion alone is too
    long is left out. Raises InputError when none is left.
    """
    rows, cut, left_out = [], 0, 0
    for example in examples:
        prompt, completion = render(example, tokenizer)
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        completion_ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
        room = max_tokens - len(completion_ids)
        if room < 1:
            left_out += 1
            continue
        cut += len(prompt_ids) > room
        prompt_ids = prompt_ids[-room:]
        mask = [0] * len(prompt_ids) + [1] * len(completion_ids)
        rows.append({"input_ids": prompt_ids + completion_ids, "completion_mask": mask})
    if not rows:
        raise InputError(f"every completion is longer than {max_tokens} tokens; raise training.max_tokens")
    return Encoded(rows, cut, left_out)


def render(example: Example, tokenizer: Any) -> tuple[str, str]:
    """Return the prompt and the completion as text: what the chat template makes of them, the end of the turn included."""
    answered = [*example.messages, {"role": "assistant", "content": example.completion}]
    prompt = tokenizer.apply_chat_template(example.messages, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(answered, tokenize=False)
    if not whole.startswith(prompt):
        raise InputError("the base model's chat template changes the prompt once an answer follows; choose another base model")
    return prompt, whole.removeprefix(prompt)


def _example(line: str, place: str) -> Example:
    try:
        content = json.loads(line)
        messages = [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in content["messages"]]
        completion, check = content["completion"], dict(content.get("check") or {})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{place} is not {{"messages": [...], "completion": "..."}}: {type(error).__name__} {error}') from None
    if not messages or not isinstance(completion, str) or not completion.strip():
        raise InputError(f"{place} has no messages or an empty completion")
    return Example(messages, completion, check)


def _subject(example: Example) -> str:
    return json.dumps(example.check.get("gold") or example.messages, sort_keys=True)
