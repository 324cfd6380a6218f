"""What every judge is to the rest of the room, whether it runs here or at an address."""

from __future__ import annotations

from typing import Protocol, TypeVar

from pydantic import BaseModel

from cia.errors import OperationError
from cia.settings import EvaluationSettings

Schema = TypeVar("Schema", bound=BaseModel)


class JudgeError(OperationError):
    """The judge gave no usable verdict. Whatever it was asked about counts as failed."""


class Judge(Protocol):
    """Answers DeepEval's prompts. ``name`` goes into the report."""

    name: str

    def judge(self, prompt: str, schema: type[Schema]) -> Schema:
        """Return an instance of ``schema`` for a DeepEval prompt. Raises JudgeError; never a verdict it is not sure of."""
        ...


def open_judge(settings: EvaluationSettings) -> Judge:
    """Return the judge that the settings name: the offline one, or the one at an OpenAI-compatible address."""
    if settings.judge == "offline":
        from cia.evaluation.offline_judge import OfflineJudge

        return OfflineJudge()
    from cia.evaluation.openai_judge import OpenAIJudge

    return OpenAIJudge.from_settings(settings)
