"""What is counted and timed, in Prometheus's format. Each application has a registry of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from cia.answering.answer import Answer

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bucket bounds: a search takes milliseconds, an answer of a model on a CPU many seconds."""


class Metrics:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("cia_requests_total", "Requests.", ["route", "code"], registry=self.registry)
        self._seconds = Histogram(
            "cia_request_seconds", "Time to the end of the reply.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self._retrieval = Histogram("cia_retrieval_seconds", "Time to find the sources.", buckets=SECONDS, registry=self.registry)
        self._oldest_index = Gauge(
            "cia_index_oldest_timestamp_seconds",
            "When the repository that waits longest for it was last indexed.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._indexed = Gauge(
            "cia_index_repositories", "Repositories in the index.", registry=self.registry, multiprocess_mode="livemax"
        )
        self._generation = Histogram(
            "cia_generation_seconds", "Time to write and check the answer.", ["mode"], buckets=SECONDS, registry=self.registry
        )
        self._answers = Counter("cia_answers_total", "Answers.", ["mode"], registry=self.registry)
        self._citations = Counter(
            "cia_citations_total", "Citations, emitted or dropped by the check.", ["outcome"], registry=self.registry
        )
        self._abstentions = Counter(
            "cia_abstentions_total", "Questions that the indexed code does not answer.", registry=self.registry
        )
        self._fallbacks = Counter("cia_fallbacks_total", "Extractive answers in place of a model's.", registry=self.registry)
        self._first_token = Histogram(
            "cia_first_token_seconds", "Time from the question to the first text.", buckets=SECONDS, registry=self.registry
        )
        self._tokens = Counter("cia_tokens_total", "Tokens that models read and wrote.", ["direction"], registry=self.registry)
        self._cost = Counter("cia_cost_total", "Cost of those tokens at the prices of the settings.", registry=self.registry)
        self._feedback = Counter("cia_feedback_total", "Ratings of answers.", ["rating"], registry=self.registry)
        self._dependency = Gauge(
            "cia_dependency_up",
            "1 when the neighbour answers, else 0.",
            ["dependency"],
            registry=self.registry,
            multiprocess_mode="livemin",
        )
        self._adapter_answers = Counter(
            "cia_answers_by_adapter_total",
            "Answers by the version that was asked.",
            ["version", "outcome"],
            registry=self.registry,
        )
        self._adapter_feedback = Counter(
            "cia_feedback_by_adapter_total",
            "Ratings by the version that answered.",
            ["version", "rating"],
            registry=self.registry,
        )
        self._adapter_info = Gauge(
            "cia_adapter_info", "1 for each version that answers.", ["role", "version"], registry=self.registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self._adapter_problem = Gauge(
            "cia_adapter_problem", "1 while the version in Production cannot be served.", registry=self.registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self._taken_back = Counter(
            "cia_canaries_taken_back_total", "Trials that ended by themselves.", ["version"], registry=self.registry
        )
        self._serving: Mapping[str, int] = {}
        for outcome in ("emitted", "dropped"):
            self._citations.labels(outcome)
        for mode in ("llm", "extractive"):
            self._answers.labels(mode)
        for direction in ("in", "out"):
            self._tokens.labels(direction)
        for rating in ("up", "down"):
            self._feedback.labels(rating)

    def request(self, route: str, code: int, seconds: float) -> None:
        """Count a finished request under its route's template, never under its path."""
        self._requests.labels(route, str(code)).inc()
        self._seconds.labels(route).observe(seconds)

    def retrieved(self, seconds: float) -> None:
        """Time one retrieval."""
        self._retrieval.observe(seconds)

    def index(self, indexed_at: Sequence[float]) -> None:
        """Note how many repositories there are, and since when the most neglected one waits; not which: anybody may read it."""
        self._indexed.set(len(indexed_at))
        self._oldest_index.set(min(filter(None, indexed_at), default=0.0))

    def first_token(self, seconds: float) -> None:
        """Time what a user waits for the first text of an answer."""
        self._first_token.observe(seconds)

    def rated(self, rating: str) -> None:
        """Count a thumb, ``up`` or ``down``."""
        self._feedback.labels(rating).inc()

    def answered(self, answer: Answer, seconds: float, cost: float) -> None:
        """Count an answer; ``seconds`` is the time from its sources to its end, ``cost`` that of its tokens."""
        self._generation.labels(answer.mode).observe(seconds)
        self._answers.labels(answer.mode).inc()
        self._citations.labels("emitted").inc(len(answer.citations))
        self._citations.labels("dropped").inc(answer.dropped_citations)
        if answer.abstained:
            self._abstentions.inc()
        if answer.fallback_reason:
            self._fallbacks.inc()
        if answer.usage is not None:
            self._tokens.labels("in").inc(answer.usage.prompt_tokens)
            self._tokens.labels("out").inc(answer.usage.completion_tokens)
            self._cost.inc(cost)

    def adapter_answered(self, version: int, outcome: str) -> None:
        """Count an answer for the version that was asked: ``answered``, ``abstained`` or ``failed``."""
        self._adapter_answers.labels(str(version), outcome).inc()

    def adapter_rated(self, version: int, rating: str) -> None:
        """Count a thumb for the version that answered."""
        self._adapter_feedback.labels(str(version), rating).inc()

    def adapters(self, serving: Mapping[str, int], has_problem: bool) -> None:
        """Note which version answers in which role, and whether the one in Production cannot."""
        for role, version in self._serving.items():
            if serving.get(role) != version:
                self._adapter_info.labels(role, str(version)).set(0)  # several workers have no way to remove a series
        for role, version in serving.items():
            self._adapter_info.labels(role, str(version)).set(1)
        self._serving = dict(serving)
        self._adapter_problem.set(has_problem)

    def taken_back(self, version: int) -> None:
        """Count a trial that ended by itself."""
        self._taken_back.labels(str(version)).inc()

    def dependency(self, name: str, up: bool) -> None:
        """Note whether a neighbour answers."""
        self._dependency.labels(name).set(up)

    def as_text(self) -> bytes:
        """Return everything in Prometheus's text format; with several workers, what all of them have counted."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
