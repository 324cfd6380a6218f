"""semble's lexical search and ranking without vectors."""

from __future__ import annotations

from functools import partial

from benchmarks.retrieval.systems.semble import Semble

start = partial(Semble, alpha=0.0)
