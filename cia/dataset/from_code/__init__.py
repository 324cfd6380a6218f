"""Questions and answers made from what the code itself says, without a model."""

from cia.dataset.from_code.definitions import CodeBase, read_code_base
from cia.dataset.from_code.questions import drafts, kinds_in_turn
from cia.dataset.from_code.unanswerable import unanswerable

__all__ = ["CodeBase", "drafts", "kinds_in_turn", "read_code_base", "unanswerable"]
