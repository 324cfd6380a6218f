"""How much may be asked: requests a minute, questions at once, wrong keys an address, tokens a day."""

from rag_server.limits.concurrency import Concurrency
from rag_server.limits.request_rate import RequestRate
from rag_server.limits.server_limits import ServerLimits
from rag_server.limits.token_budget import TokenBudget

__all__ = ["Concurrency", "RequestRate", "ServerLimits", "TokenBudget"]
