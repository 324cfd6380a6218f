"""What must not get into a data set, and why it was kept out."""

from cia.dataset.filters.filter import LONGEST_ANSWER, LONGEST_QUESTION, Filter, holds_secret

__all__ = ["LONGEST_ANSWER", "LONGEST_QUESTION", "Filter", "holds_secret"]
