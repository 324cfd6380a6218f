"""Who a request is from, and which repositories that user may read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cia.errors import NotIndexedError


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. ``grants`` names the repositories that the user may read; None means every one."""

    user: str
    grants: frozenset[str] | None
    is_admin: bool = False

    def may_read(self, repo: str) -> bool:
        """Whether ``repo`` may reach this user in any form."""
        return self.grants is None or repo in self.grants

    def readable(self, indexed: Iterable[str], asked: Sequence[str] | None = None) -> list[str]:
        """Return the names to search: those ``asked`` for, or all of ``indexed`` that may be read.

        Raises NotIndexedError for one that may not be read, in the words used for one that is not indexed: whether a
        repository exists is itself a secret.
        """
        if asked is None:
            return [repo for repo in indexed if self.may_read(repo)]
        known = set(indexed)
        for repo in asked:
            if repo not in known or not self.may_read(repo):
                raise NotIndexedError(f"no repository {repo!r} is indexed for you; GET /v1/repositories names those that are")
        return list(dict.fromkeys(asked))
