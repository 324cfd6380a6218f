"""An answer and its citations, in the fixed JSON shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in an indexed file that was in the context: it exists at ``commit`` and its lines are in range."""

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    symbol: str

    def __str__(self) -> str:
        return f"[{self.repo}/{self.file_path}:{self.line_start}-{self.line_end}]"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the model read and wrote for one answer, all attempts together; estimated where it does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question of a conversation and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one question.

    ``mode`` is ``llm`` or ``extractive``; ``model`` the adapter that answered (``code-assistant:3``), the base model's
    name, or ``none``. ``index`` names the repository and commit of the best evidence. ``dropped_citations`` counts
    citations that failed their check. ``fallback_reason`` says why a configured model did not answer. ``resolved_question``
    is what was looked for where that differs from what was asked: a follow-up, read with its conversation. ``conversation``
    is the id of the one that keeps this answer, "" for none; ``usage`` is None when no model was asked. ``asked_model`` is the
    model that was, also when its answer did not hold, else "".
    """

    answer: str
    abstained: bool
    mode: Literal["llm", "extractive"]
    model: str
    citations: tuple[Citation, ...]
    index: dict[str, str]
    trace_id: str = ""
    dropped_citations: int = 0
    fallback_reason: str = ""
    notices: tuple[str, ...] = field(default=())
    resolved_question: str = ""
    conversation: str = ""
    usage: Usage | None = None
    asked_model: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fixed JSON shape of an answer."""
        return asdict(self)
