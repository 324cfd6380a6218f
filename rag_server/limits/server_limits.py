"""The limits of one server, and what they count in."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from cia.settings import RagSettings
from rag_server.limits.failed_logins import FailedLogins
from rag_server.limits.rate_store import RateStore
from rag_server.limits.redis_link import RedisLink, redis_url
from rag_server.limits.token_budget import TokenBudget


class ServerLimits:
    """Counts in memory, or in the Redis that the settings point to. Raises SettingsError for an address that is none."""

    def __init__(self, settings: RagSettings, log: Any, registry: CollectorRegistry) -> None:
        link = RedisLink(redis_url(settings), log, registry)
        self.store = RateStore(link)
        self.failed_logins = FailedLogins(self.store, settings.failed_logins)
        self.token_budget = TokenBudget(link, settings.daily_tokens)
