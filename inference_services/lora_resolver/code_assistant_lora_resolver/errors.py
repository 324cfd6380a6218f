"""Why a version is not served, in a sentence for whoever asked for it.

ResolveError
├── NoSuchAdapter   the registry has no such version, or the name is none     (HTTP 404)
├── AdapterRefused  the version is there and must not be loaded               (HTTP 422)
└── NotNow          the registry, the disk or the cache: ask again later      (HTTP 503)
    └── RegistryAway  the registry does not answer; what is cached may be used
"""

from __future__ import annotations


class ResolveError(Exception):
    """Base of what a request is told."""


class NoSuchAdapter(ResolveError):
    """There is no version of that name."""


class AdapterRefused(ResolveError):
    """A version that must not be loaded: damaged, for another base model, or of a kind that vLLM does not serve."""


class NotNow(ResolveError):
    """Nothing is wrong with the version; it cannot be had at this moment."""


class RegistryAway(NotNow):
    """MLflow does not answer, or answers with errors."""
