"""Scores answers, and decides whether a new adapter is better than what users have today."""

from cia.evaluation.answer_sources import AnswerSource, Asked, ExtractiveAnswers, OpenAIAnswers, TransformersAnswers
from cia.evaluation.evaluate import Question, QuestionSet, evaluate, prepare_questions
from cia.evaluation.gate import Decision, decide
from cia.evaluation.report import EvaluationReport

__all__ = [
    "AnswerSource",
    "Asked",
    "Decision",
    "EvaluationReport",
    "ExtractiveAnswers",
    "OpenAIAnswers",
    "Question",
    "QuestionSet",
    "TransformersAnswers",
    "decide",
    "evaluate",
    "prepare_questions",
]
