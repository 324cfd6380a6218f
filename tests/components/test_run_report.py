from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cia.settings import Settings
from components.run_journal import forget_old_runs, read_run
from components.run_report import post, report_of
from components.step import Step
from runtimes.train_jobs import RUN_VARIABLE


@pytest.fixture(autouse=True)
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_VARIABLE, "run-1")
    monkeypatch.setenv("CIA_HOME", str(settings.home))


def step(name: str, summary: str = "", error: str | None = None) -> None:
    def work() -> None:
        with Step(name) as this:
            this.summary = summary
            if error:
                raise ValueError(error)

    if error is None:
        work()
    else:
        with pytest.raises(ValueError, match=error):
            work()


def test_a_run_that_succeeded_is_told_by_what_became_of_the_candidate(settings: Settings) -> None:
    step("fetch_corpus", "httpx at 1234")
    step("register_model", "code-assistant:3, promoted: it gained")
    report = report_of(settings, "SUCCEEDED", "")
    assert report.sentence == "code-assistant:3, promoted: it gained"
    assert "| fetch_corpus | done |" in report.markdown
    assert report.as_json()["text"] == "Pipeline run run-1 succeeded: code-assistant:3, promoted: it gained"


def test_a_run_that_failed_is_told_by_the_step_and_its_cause(settings: Settings) -> None:
    step("fetch_corpus", error="no such host")
    step("fetch_corpus", "httpx at 1234")  # the second try
    step("build_dataset", error="the disk is full")
    assert report_of(settings, "FAILED", "Task exit-handler-1 failed.").sentence == "build_dataset: the disk is full"


def test_a_step_that_was_killed_said_nothing_so_the_engine_speaks(settings: Settings) -> None:
    step("fetch_corpus", "httpx at 1234")
    assert report_of(settings, "FAILED", "pod was evicted").sentence == "pod was evicted"


def test_a_half_written_line_is_passed_over(settings: Settings) -> None:
    step("fetch_corpus", "httpx at 1234")
    with (settings.home / "pipeline" / "runs" / "run-1.jsonl").open("a") as file:
        file.write('{"step": "index_')
    assert [end.step for end in read_run(settings.home, "run-1")] == ["fetch_corpus"]


def test_a_step_outside_a_run_writes_nothing_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_VARIABLE)
    step("fetch_corpus")
    assert not settings.home.exists()


def test_old_runs_are_forgotten(settings: Settings) -> None:
    step("fetch_corpus")
    journal = settings.home / "pipeline" / "runs" / "run-1.jsonl"
    forget_old_runs(settings.home)
    assert journal.exists()
    os.utime(journal, (0, 0))
    forget_old_runs(settings.home)
    assert not journal.exists()


class Mailbox(HTTPServer):
    received: list[Any]
    answer = 200


class Handler(BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    server = Mailbox(("127.0.0.1", 0), Handler)
    server.received = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("RUN_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
    yield server
    server.shutdown()
    server.server_close()


def test_the_report_is_posted_where_the_variable_says(settings: Settings, mailbox: Mailbox) -> None:
    step("register_model", "code-assistant:3, refused: no gain")
    assert post(settings, report_of(settings, "SUCCEEDED", "")).startswith("reported")
    (received,) = mailbox.received
    assert received["steps"] == {"register_model": "code-assistant:3, refused: no gain"}


def test_an_address_that_does_not_take_it_is_told_without_being_named(settings: Settings, mailbox: Mailbox) -> None:
    mailbox.answer = 403
    said = post(settings, report_of(settings, "FAILED", "pod was evicted"))
    assert "status 403" in said
    assert str(mailbox.server_port) not in said


def test_without_an_address_nothing_is_posted(settings: Settings, tmp_path: Path) -> None:
    assert post(settings, report_of(settings, "SUCCEEDED", "")) == ""
