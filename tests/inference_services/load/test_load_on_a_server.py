"""The figures are those of a server whose times are known, and a server that stalls slows no arrival down."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from itertools import pairwise

import aiohttp  # noqa: F401  (it takes a second, which no test's clock should show)
import pytest

from cia.errors import InputError, UnavailableError
from inference_services.load import Interval, LoadReport, generate, parse_stages, parse_target
from inference_services.load.client import Outcome
from inference_services.load.report import percentiles
from tests.inference_services.load.scripted_server import ScriptedServer, scripted_server

QUESTIONS = ("What is a wick?", "How is it trimmed?")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def load(server: ScriptedServer, rate: str, seconds: float, **options: object) -> LoadReport:
    target = parse_target(server.base_url, None, 16)
    return asyncio.run(generate(target, parse_stages(rate, seconds), QUESTIONS, **options))  # type: ignore[arg-type]


def test_known_delays_come_out_as_they_are(server: ScriptedServer) -> None:
    server.first, server.gap, server.tokens = 0.2, 0.04, 5
    figures = load(server, "15", 3).as_json()
    assert figures["requests"] == figures["answers"] == len(server.bodies)
    assert figures["errors"] == {}
    assert 0.2 <= figures["first_token"]["p50"] < 0.26
    assert 0.04 <= figures["between_tokens"]["p50"] < 0.06
    assert 0.36 <= figures["latency"]["p50"] < 0.44
    assert figures["tokens_per_second"] == pytest.approx(15 * figures["answers"] / figures["seconds"], rel=1e-3)
    assert figures["answered_by"] == {"scripted": figures["answers"]}
    assert figures["generator_late"]["p99"] < 0.1


def test_a_server_that_stalls_slows_no_arrival_down_and_its_stall_is_in_the_figures(server: ScriptedServer) -> None:
    server.stall_for(2.0, after=1.0)
    report = load(server, "25", 4)
    figures = report.as_json()
    assert figures["requests"] == pytest.approx(100, abs=30)
    due = [outcome.due for outcome in report.outcomes]
    held = [one for one in report.outcomes if min(due) + 1.1 < one.due < min(due) + 2.5]
    assert len(held) > 15, "a closed loop would have sent one and waited"
    assert all(one.sent - one.due < 1.0 for one in held)
    assert server.stall is not None
    assert sum(server.stall[0] < moment < server.stall[1] for moment in server.arrived) > 15, "they reached the server, too"
    assert figures["latency"]["p90"] > 1.2, "half of the run stood still: a tenth of all waited most of the two seconds"
    assert sum(one.latency > 0.5 for one in report.outcomes) > 20


def test_a_time_counts_from_when_a_request_was_due() -> None:
    late = Outcome(due=10.0, sent=13.0, ended=15.0, texts=[14.0, 14.5], tokens=2)
    assert (late.to_first_token, late.latency, late.between_tokens) == (4.0, 5.0, [0.5])


def test_percentiles_are_values_that_were_measured() -> None:
    found = percentiles(range(1, 201))
    assert found == {"mean": 100.5, "p50": 100, "p90": 180, "p95": 190, "p99": 198, "longest": 200}
    assert percentiles([]) is None


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("503", "HTTP 503"), ("error", "error event"), ("cut", "cut short"), ("nonsense", "not understood")],
)
def test_what_is_no_whole_answer_is_an_error_of_its_kind(server: ScriptedServer, ending: str, kind: str) -> None:
    server.ending = ending
    report = load(server, "20", 0.5)
    figures = report.as_json()
    assert figures["errors"] == {kind: figures["requests"]}
    assert (figures["answers"], figures["latency"], figures["answers_per_second"]) == (0, None, 0)
    assert f"{figures['requests']} x {kind}" in str(report)


def test_an_answer_that_takes_too_long_is_given_up(server: ScriptedServer) -> None:
    server.first = 5.0
    begun = time.monotonic()
    assert set(load(server, "10", 0.5, timeout_seconds=0.3).errors) == {"timeout"}
    assert time.monotonic() - begun < 3


def test_a_server_that_is_not_there_is_an_error_and_not_an_end() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        target = parse_target(f"http://127.0.0.1:{nobody.getsockname()[1]}/v1", "any", 8)
        assert set(asyncio.run(generate(target, parse_stages("20", 0.3), QUESTIONS)).errors) == {"no connection"}


def test_each_interval_is_told_when_it_ends_with_the_replicas_then(server: ScriptedServer) -> None:
    server.stall_for(0.7, after=0.6)
    told: list[tuple[float, Interval]] = []
    ready = iter([1, 1, 2])

    def observe(interval: Interval) -> None:
        told.append((time.perf_counter(), interval))

    report = load(server, "20", 2, interval_seconds=0.5, observe=observe, count_replicas=lambda: next(ready, 3))
    assert [interval for _, interval in told] == list(report.intervals)
    assert [interval.seconds for interval in report.intervals][:4] == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.3)
    offsets = [moment - interval.seconds for moment, interval in told]
    assert max(offsets) - min(offsets) < 0.4, "each as it ends, not all at the end"
    ends = [0.0, *(interval.seconds for interval in report.intervals)]
    due = sum(one.due_per_second * (end - begin) for one, (begin, end) in zip(report.intervals, pairwise(ends), strict=True))
    assert due == pytest.approx(len(report.outcomes), rel=0.2)
    assert report.intervals[1].open > report.intervals[0].open, "the stall is seen while it lasts"
    assert report.intervals[1].latency is None or report.intervals[1].done_per_second < 10
    assert report.intervals[2].latency is not None
    assert report.intervals[2].latency[1] > 0.4
    assert report.intervals[0].replicas == 1
    assert report.as_json()["replicas"]["most"] >= 1
    assert str(report.intervals[0]).split()[-1] == "1"
    assert len(str(report.intervals[0]).split()) == 11


def test_without_a_cluster_the_replicas_are_a_dash(server: ScriptedServer) -> None:
    report = load(server, "20", 0.5, interval_seconds=0.2)
    assert {str(interval).split()[-1] for interval in report.intervals} == {"-"}
    assert report.as_json()["replicas"] is None


def test_questions_go_round_and_the_key_is_sent(server: ScriptedServer) -> None:
    target = parse_target(server.base_url, None, 9, key="secret")
    asyncio.run(generate(target, parse_stages("30", 0.3), QUESTIONS))
    asked = [body["messages"][0]["content"] for body in server.bodies]
    assert set(asked) == set(QUESTIONS)
    assert {(body["model"], body["max_tokens"], body["stream"]) for body in server.bodies} == {("scripted", 9, True)}
    assert set(server.keys) == {"Bearer secret"}
    assert "secret" not in repr(target)


async def test_one_that_is_stopped_gives_the_figures_so_far(server: ScriptedServer) -> None:
    running = asyncio.create_task(generate(parse_target(server.base_url, None, 8), parse_stages("20", 60), QUESTIONS))
    await asyncio.sleep(1.0)
    running.cancel()
    report = await asyncio.wait_for(running, 5)
    assert 5 < len(report.outcomes) < 40
    assert 0.8 < report.seconds < 2


@pytest.mark.parametrize("address", ["127.0.0.1:8000/v1", "http://127.0.0.1:8000", "http://127.0.0.1:8000/v2", "ftp://x/v1"])
def test_an_address_of_neither_kind_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"ends in /v1"):
        parse_target(address, "any", 8)


def test_a_server_that_lists_no_model_is_named() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        with pytest.raises(UnavailableError, match="--model"):
            parse_target(address, None, 8)
