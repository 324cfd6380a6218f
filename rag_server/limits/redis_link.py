"""Whether Redis is worth asking: one that is away costs a request nothing, and is found again by itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from cia.errors import SettingsError
from cia.settings import RagSettings

TIMEOUT_SECONDS = 0.5
ASK_AGAIN_SECONDS = 2.0
SCHEMES = ("redis://", "rediss://")


class RedisLink:
    """The address of a Redis, if there is one, and whether it answered last time. May be used from any thread."""

    def __init__(self, url: str | None, log: Any, registry: CollectorRegistry) -> None:
        self.url = url
        self._log = log
        self._away_until = 0.0
        self._is_away = False
        self._lock = threading.Lock()
        self._failures = Counter(
            "cia_limits_redis_failures_total", "Times that limits were counted in memory.", registry=registry
        )
        self._up = Gauge(
            "cia_limits_redis_up", "1 while limits are counted in Redis, else 0.", registry=registry, multiprocess_mode="livemin"
        )
        self._up.set(0 if url is None else 1)

    @property
    def is_worth_asking(self) -> bool:
        """Whether there is a Redis that has not failed a moment ago."""
        return self.url is not None and time.monotonic() >= self._away_until

    def answered(self) -> None:
        """Note that Redis answers; says so in the log after it was away."""
        if self._is_away:
            with self._lock:
                back, self._is_away = self._is_away, False
            if back:
                self._up.set(1)
                self._log.info("limits are counted in Redis again")

    def failed(self, error: BaseException) -> None:
        """Note that Redis does not answer; until it does, each process counts for itself."""
        self._failures.inc()
        with self._lock:
            self._away_until = time.monotonic() + ASK_AGAIN_SECONDS
            new, self._is_away = not self._is_away, True
        if new:
            self._up.set(0)
            self._log.warning("redis is away: limits are counted in memory", error=type(error).__name__)


def redis_url(settings: RagSettings, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the Redis URL that the settings point to, None when there is none. Raises SettingsError for another kind."""
    url = (os.environ if environment is None else environment).get(settings.redis_url_variable) or None
    if url is not None and not url.startswith(SCHEMES):
        # The URL may hold a password, so that no part of it is repeated.
        raise SettingsError(f"{settings.redis_url_variable} is no redis:// or rediss:// address")
    return url
