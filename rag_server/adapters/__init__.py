"""Which adapter answers whom: the one in Production, one on trial beside it, and how the trial goes."""

from rag_server.adapters.answer_counts import AnswerCounts, Counts
from rag_server.adapters.canary_trial import CanaryTrial
from rag_server.adapters.followed import Followed
from rag_server.adapters.served_adapters import Arm, ServedAdapters
from rag_server.adapters.verdict import Verdict, judge

__all__ = ["AnswerCounts", "Arm", "CanaryTrial", "Counts", "Followed", "ServedAdapters", "Verdict", "judge"]
