"""Tells how a run ended: a page for its view, a line for its log, and a message to whoever is waiting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cia.settings import Settings
from components.run_journal import StepEnd, forget_old_runs, read_run
from components.tables import markdown_table
from runtimes.train_jobs import RUN_VARIABLE

POST_SECONDS = 10.0
DECIDES = "register_model"
"""The step whose summary says what became of the candidate."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """``state`` is KFP's: SUCCEEDED, FAILED or CANCELLED. ``sentence`` says why, or what became of the candidate."""

    run: str
    state: str
    sentence: str
    steps: tuple[StepEnd, ...]

    @property
    def markdown(self) -> str:
        """The page: the sentence, then a line a step."""
        rows = [(end.step, end.event, f"{end.seconds:.0f} s", end.summary) for end in self.steps]
        return f"# {self.state.capitalize()}: {self.sentence}\n\n{markdown_table(('step', 'ended', 'took', 'did'), rows)}"

    def as_json(self) -> dict[str, Any]:
        """What is posted. ``text`` alone is what a chat's webhook shows."""
        return {
            "text": f"Pipeline run {self.run} {self.state.lower()}: {self.sentence}",
            "run": self.run,
            "state": self.state,
            "steps": {end.step: end.summary for end in self.steps},
        }


def report_of(settings: Settings, state: str, error: str) -> RunReport:
    """Return what the journal of this run says; ``error`` is what KFP says of a run that failed."""
    run = os.environ.get(RUN_VARIABLE, "")
    steps = read_run(settings.home, run)
    forget_old_runs(settings.home)
    return RunReport(run, state, _sentence(state, steps, error), tuple(steps))


def _sentence(state: str, steps: Sequence[StepEnd], error: str) -> str:
    done = {end.step: end.summary for end in steps if end.event == "done"}
    if state == "SUCCEEDED":
        return done.get(DECIDES) or f"{len(done)} steps are done"
    failed = [end for end in steps if end.event == "failed" and end.step not in done]
    if failed:
        return f"{failed[-1].step}: {failed[-1].summary}"
    return " ".join(error.split()) or "a step was ended from outside"


def post(settings: Settings, report: RunReport) -> str:
    """Post the report to the address in the variable ``pipeline.report_variable``; return what came of it, "" without one.

    An address that does not answer is told, and is no failure: the run itself is over.
    """
    import httpx

    address = os.environ.get(settings.pipeline.report_variable)
    if not address:
        return ""
    try:
        httpx.post(address, json=report.as_json(), timeout=POST_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = f"status {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        return f"the address in {settings.pipeline.report_variable} did not take the report ({reason})"
    return f"reported to the address in {settings.pipeline.report_variable}"
