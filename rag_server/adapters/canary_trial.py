"""Counts what the versions do, and takes the one on trial back when it is worse. Every worker and replica does so at once."""

from __future__ import annotations

import time
from typing import Any

from cia.answering import Answer
from cia.errors import AdapterError, CiaError, InputError
from cia.registry.canary import OUTCOME_TAG, Canary
from cia.settings import Settings
from rag_server.adapters.answer_counts import AnswerCounts, Outcome
from rag_server.adapters.served_adapters import Arm, ServedAdapters
from rag_server.adapters.verdict import judge, looks_due
from rag_server.metrics import Metrics
from rag_server.periodic import Periodic

LOOK_SECONDS = 5.0
TIDY_SECONDS = 3600.0
BY_SETTINGS = "serving.canary"
BY_ITSELF = "cia serve"


class CanaryTrial:
    """The trial under way, if there is one, and one that ``serving.canary`` declares."""

    def __init__(self, settings: Settings, adapters: ServedAdapters, counts: AnswerCounts, metrics: Metrics, log: Any) -> None:
        self.declared_problem = ""
        self._settings = settings.serving.canary
        self._adapters = adapters
        self._counts = counts
        self._metrics = metrics
        self._log = log
        self._tidied_at = -TIDY_SECONDS
        self._is_declared = self._settings.version is not None
        self._watch = Periodic("canary-trial", LOOK_SECONDS, self.look)
        self._has_model = settings.model.base_url is not None

    def start(self) -> None:
        """Begin to watch, if there is a model."""
        if self._has_model:
            self._watch.start()

    def stop(self) -> None:
        """Stop watching."""
        self._watch.stop()

    def answered(self, trace_id: str, answer: Answer) -> Arm | None:
        """Count an answer for the version that was asked, and return that, or None when no version was. Never raises."""
        arm = self._adapters.arm_of(answer.asked_model)
        if arm is None:
            return None
        outcome: Outcome = "failed" if answer.fallback_reason else "abstained" if answer.abstained else "answered"
        self._metrics.adapter_answered(arm.version, outcome)
        try:
            self._counts.answered(trace_id, arm, outcome)
        except CiaError as error:  # an answer that was found is given, counted or not
            self._log.error("answer not counted", error=str(error))
        return arm

    def look(self) -> None:
        """Begin a declared trial, and take the one under way back if it is worse. Never raises."""
        try:
            if self._is_declared:
                self._begin_declared()
            if (canary := self._adapters.registered_canary) and (production := self._adapters.serving().get("production")):
                self._judge(canary, production)
            if time.monotonic() - self._tidied_at > TIDY_SECONDS:
                self._counts.forget_old()
                self._tidied_at = time.monotonic()
        except Exception as error:  # the registry or the database is away: the next look is soon
            self._log.warning("canary", problem=" ".join(str(error).split())[:300] or type(error).__name__)

    def _begin_declared(self) -> None:
        """Until it has been seen to: once for each server, so that replicas with former and newer settings do not take turns."""
        try:
            self._start_declared()
            problem, self._is_declared = "", False
        except AdapterError as error:  # what is wrong with a version stays wrong
            problem, self._is_declared = f"serving.canary: {error}", False
        except InputError as error:  # another trial is under way, or there is no such version yet
            problem = f"serving.canary: {error}"
        if problem and problem != self.declared_problem:
            self._log.warning("canary", problem=problem)
        self.declared_problem = problem

    def _start_declared(self) -> None:
        registry, version, percent = self._adapters.registry(), self._settings.version, self._settings.percent
        assert version is not None
        present, adapter = registry.canary(), registry.get(version)
        if present is not None and present.version == version:
            if present.by != BY_SETTINGS or present.percent == percent:
                return
        elif adapter.in_production or adapter.tags.get(OUTCOME_TAG) or adapter.tags.get("promoted_at"):
            return
        registry.start_canary(version, percent, BY_SETTINGS, "declared in serving.canary")

    def _judge(self, canary: Canary, production: int) -> None:
        ours, theirs = (self._counts.of(canary.trial, version) for version in (canary.version, production))
        number = looks_due(min(ours.answers, theirs.answers), self._settings.minimum_answers)
        if not number:
            return
        verdict = judge(self._counts.look(canary.trial, canary.version, production, number), self._settings)
        if not verdict.is_worse:
            return
        if self._adapters.suspend(canary):
            self._log.warning("canary is worse", name=canary.served_name, reason=verdict.reason)
        if self._adapters.registry().stop_canary("taken back", BY_ITSELF, verdict.reason, canary):
            self._metrics.taken_back(canary.version)
