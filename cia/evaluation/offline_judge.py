"""The judge that needs no model: the same answer to the same prompt, on any machine.

It answers the prompts of four DeepEval metrics: Faithfulness, Answer Relevancy, Contextual Precision and Contextual Recall.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from cia.evaluation.deepeval_prompts import JudgePrompt, read_prompt
from cia.evaluation.entailment import Finding, entails, supports
from cia.evaluation.evidence import read_evidence, split_evidence
from cia.evaluation.judge import Schema
from cia.evaluation.wording import CITATION, FRAME_WORDS, STOP_WORDS, all_words, read_wording, sentences, stem

RELEVANT_WORD_SHARE = 0.34
"""Of the question's content words, how many a statement must share, when it names none of the question's identifiers."""

CONTINUATION = re.compile(
    r"^(?:it|its|this|that|these|those|they|then|otherwise|if|the (?:function|method|class|module|result|value))\b", re.IGNORECASE
)

PRONOUN = re.compile(r"^(?:it|its|they)\b", re.IGNORECASE)
PRONOUN_WITHIN = re.compile(r"\b(?:it|them)\b", re.IGNORECASE)

ASKS_FOR_USES = re.compile(r"\b(?:what|who|which \w+) (?:calls?|uses?|tests?|creates?)\b", re.IGNORECASE)
SAYS_A_USE = re.compile(r"\b(?:call|use|using|invoke|create|test|cover)", re.IGNORECASE)

_FRAME_STEMS = frozenset(stem(word) for word in STOP_WORDS | FRAME_WORDS)


class OfflineJudge:
    """A deterministic Judge: lexical and structural entailment, see ``cia.evaluation.entailment``."""

    name = "offline"

    def judge(self, prompt: str, schema: type[Schema]) -> Schema:
        """Return the verdicts, or what is to be judged. Raises UnknownPromptError for a prompt that is not DeepEval 4.3's."""
        return schema.model_validate(_answer(read_prompt(prompt)))


def _answer(asked: JudgePrompt) -> dict[str, Any]:
    match asked.task:
        case "truths":
            return {"truths": [piece for piece in re.split(r"\n\s*\n", asked.text) if piece.strip()]}
        case "claims":
            return {
                "claims": [
                    sentence for sentence in sentences(asked.text) if not CITATION.sub("", sentence).rstrip().endswith("?")
                ]
            }
        case "statements":
            return {"statements": sentences(asked.text)}
        case "claim_verdicts":
            evidence = split_evidence(asked.context)
            return _verdicts(supports(evidence, claim) for claim in asked.items)
        case "statement_verdicts":
            return _verdicts(relevance(asked.question, asked.items))
        case "node_verdicts":
            return _verdicts(_usefulness(asked, node) for node in asked.items)
        case "sentence_verdicts":
            evidence = split_evidence(asked.context)
            return _verdicts(_strict(entails(evidence, sentence)) for sentence in sentences(asked.expected))
        case "reason":
            return {"reason": "decided by the overlap of words, identifiers and facts; the verdicts say which failed"}


def _verdicts(findings: Iterable[Finding]) -> dict[str, Any]:
    return {"verdicts": [{"verdict": finding.verdict, "reason": finding.reason} for finding in findings]}


def relevance(question: str, statements: Iterable[str]) -> list[Finding]:
    """Return for each statement, in order, whether it is about what the question asks.

    Where the question names something, a statement that names only other things is about those.
    """
    asked = read_wording(question)
    wanted = (asked.words | {stem for name in asked.names for stem in all_words(name)}) - _FRAME_STEMS
    known = set(asked.names)
    uses = ASKS_FOR_USES.search(question) is not None
    findings: list[Finding] = []
    for statement in statements:
        # "It" in the first statement is what the question asks about, later what the statement before was about.
        follows = bool((CONTINUATION if findings else PRONOUN).match(statement)) and (
            not findings or findings[-1].verdict == "yes"
        )
        findings.append(Finding("yes") if follows and not uses else _about(statement, wanted, known, uses))
        if known and findings[-1].verdict == "yes":
            known.update(read_wording(statement).names)
    return findings


def _about(statement: str, wanted: frozenset[str], known: Collection[str], uses: bool) -> Finding:
    bare = CITATION.sub(" ", statement)
    if statement.rstrip().endswith("?"):
        return Finding("no", "it asks instead of answering")
    if uses and not SAYS_A_USE.search(bare):
        return Finding("no", "it does not say what uses it")
    names = read_wording(statement).names
    if any(_same(name, other) for name in names for other in known):
        return Finding("yes")
    if known and names and not PRONOUN_WITHIN.search(bare):
        return Finding("no", "it is about something else than the question names")
    said = all_words(bare)
    plain = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", bare) for name in known)
    shared = len(wanted & said) / len(wanted) if wanted else 0.0
    return Finding("yes") if plain or shared >= RELEVANT_WORD_SHARE else Finding("no", "it shares nothing with the question")


def _same(name: str, other: str) -> bool:
    """Whether both may mean one thing: the same last part, in no other scope, or one is the scope of the other."""
    ours, theirs = (re.split(r"\.|::|->", each) for each in (name, other))
    if ours[-1] == theirs[-1]:
        return min(len(ours), len(theirs)) == 1 or ours[-2] == theirs[-2]
    return theirs[:-1][-len(ours) :] == ours or ours[:-1][-len(theirs) :] == theirs


def _usefulness(asked: JudgePrompt, node: str) -> Finding:
    piece = read_evidence(node)
    if any(entails([piece], sentence).verdict == "yes" for sentence in sentences(asked.expected)):
        return Finding("yes", f"it supports the expected answer: {piece.path or piece.text[:60]}")
    return Finding("no", "nothing in the expected answer can be taken from it")


def _strict(finding: Finding) -> Finding:
    # Contextual recall knows only yes and no, and wants a reason for both.
    return Finding("yes", "the context holds it") if finding.verdict == "yes" else Finding("no", finding.reason)
