"""Reads the inputs back out of the prompts that DeepEval 4.3 sends to a judge.

DeepEval fills its templates (``deepeval/metrics/*/templates/*.txt``) with the answer, the question and the context, and a
judge sees only the result. An anchor here is the line after which a template puts such an input. When an anchor is missing the
templates have changed: ``UnknownPromptError`` says so at once, where a guess would quietly turn every score into noise.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from cia.evaluation.judge import JudgeError

END = "\n\nJSON:"

Task = Literal[
    "truths", "claims", "claim_verdicts", "statements", "statement_verdicts", "node_verdicts", "sentence_verdicts", "reason"
]

FIRST_LINES: tuple[tuple[str, Task], ...] = (
    ("Based on the given text, please generate a comprehensive list of", "truths"),
    ("Based on the given text, please extract a comprehensive list of FACTUAL", "claims"),
    ("Based on the given claims, which is a list of strings", "claim_verdicts"),
    ("Given the text, breakdown and generate a list of statements presented", "statements"),
    ("For the provided list of statements, determine whether each statement is relevant", "statement_verdicts"),
    ("Given the input, expected output, and retrieval context, please generate a list of JSON objects", "node_verdicts"),
    ("For EACH sentence in the given expected output below", "sentence_verdicts"),
    ("Below is a list of Contradictions.", "reason"),
    ("Given the answer relevancy score,", "reason"),
    ("Given the input, retrieval contexts, and contextual precision score,", "reason"),
    ("Given the original expected output, a list of supportive reasons,", "reason"),
)


class UnknownPromptError(JudgeError):
    """The prompt is not one of DeepEval 4.3's."""


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """What a judge is asked: the ``task`` and the inputs that this task has (the others are empty)."""

    task: Task
    text: str = ""
    question: str = ""
    expected: str = ""
    context: str = ""
    items: tuple[str, ...] = ()


def read_prompt(prompt: str) -> JudgePrompt:
    """Return the inputs of a DeepEval prompt. Raises UnknownPromptError when its template is not known."""
    task = next((task for start, task in FIRST_LINES if prompt.lstrip().startswith(start)), None)
    body = prompt.rstrip()
    if task is None or not body.endswith(END):
        raise UnknownPromptError(
            f"DeepEval asks in a way this judge does not know ({prompt.strip()[:60]!r}); install deepeval 4.3"
        )
    body = body.removesuffix(END)
    match task:
        case "truths":
            return JudgePrompt(task, text=_after(body, "**\n\nText:\n"))
        case "claims":
            return JudgePrompt(task, text=_after(body, "**\n\nAI Output:\n"))
        case "statements":
            return JudgePrompt(task, text=_after(body, "**\n\nText:\n"))
        case "claim_verdicts":
            context, claims = _split_last(_after(body, "**\n\nRetrieval Contexts:\n"), "\n\nClaims:\n")
            return JudgePrompt(task, context=context, items=_literal_list(claims))
        case "statement_verdicts":
            question, statements = _split_last(_after(body, "\n\nInput:\n"), "\n\nStatements:\n")
            return JudgePrompt(task, question=question, items=_literal_list(statements))
        case "node_verdicts":
            inputs, nodes = _split_last(_after(body, "**\n\nInput:\n"), "\n\nRetrieval Context ")
            question, expected = _split_last(inputs, "\n\nExpected output:\n")
            return JudgePrompt(task, question=question, expected=expected, items=_literal_list(nodes.partition(":\n")[2]))
        case "sentence_verdicts":
            expected, nodes = _split_last(_after(body, "**\n\nExpected Output:\n"), "\n\nRetrieval Context:\n")
            return JudgePrompt(task, expected=expected, context="\n\n".join(_literal_list(nodes)))
        case "reason":
            return JudgePrompt(task)


def _after(body: str, anchor: str) -> str:
    _, found, rest = body.partition(anchor)
    if not found:
        raise _missing(anchor)
    return rest


def _split_last(body: str, anchor: str) -> tuple[str, str]:
    # What follows the last anchor is a Python list on one line, so an anchor inside the text before it cannot deceive.
    before, found, after = body.rpartition(anchor)
    if not found:
        raise _missing(anchor)
    return before, after


def _literal_list(text: str) -> tuple[str, ...]:
    try:
        items = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        items = None
    if not isinstance(items, list):
        raise UnknownPromptError(f"DeepEval's list of what to judge cannot be read ({text.strip()[:60]!r}); install deepeval 4.3")
    return tuple(str(item) for item in items)


def _missing(anchor: str) -> UnknownPromptError:
    return UnknownPromptError(f"DeepEval's prompt has no {anchor.strip()!r}; this judge reads deepeval 4.3")
