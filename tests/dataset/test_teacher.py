import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from cia.corpus import Corpus
from cia.dataset import DatasetReport, build, load
from cia.dataset.teacher.endpoint import retry_after
from cia.dataset.teacher.journal import Journal
from cia.dataset.teacher.lesson import Lesson, read_reply
from cia.dataset.teacher.teacher import Asked, Teacher
from cia.durable_files import exclusive
from cia.errors import BusyError, OperationError, UnavailableError
from cia.settings import Settings, TeacherSettings, for_child_process
from tests.dataset.teacher_double import Said, TeacherDouble, completion

LESSONS = [Lesson("Teach.", f"[1] trade/a.py load_{number}\n```python\ndef load_{number}(): ...\n```") for number in range(20)]
FAST = {"requests_per_minute": 60_000, "timeout_seconds": 5.0}


def ask(teacher: TeacherDouble, path: Path, lessons: Sequence[Lesson] = LESSONS, **changes: object) -> Asked:
    settings = TeacherSettings(base_url=teacher.url, **{**FAST, **changes})
    with Journal(path / "teacher.jsonl") as journal:
        return Teacher(settings, journal, pause_seconds=0.01).ask(lessons)


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (path / "teacher.jsonl").read_text().splitlines()]


def of_a_build(settings: Settings, teacher: TeacherDouble, **changes: object) -> Settings:
    chosen = TeacherSettings(base_url=teacher.url, **{**FAST, **changes})
    return settings.model_copy(update={"dataset": settings.dataset.model_copy(update={"teacher": chosen})})


def built(settings: Settings, directory: Path) -> DatasetReport:
    return build(settings, Corpus(settings), ["trade"], directory)


@pytest.fixture
def indexed(settings: Settings, trade: Path) -> Settings:
    Corpus(settings).add(str(trade), name="trade")
    return settings


def test_a_teacher_s_pairs_stand_in_the_data_set_with_their_citations(indexed, teacher, tmp_path):
    settings = of_a_build(indexed, teacher)
    report = built(settings, tmp_path / "dataset")
    pairs = [p for name in ("train", "evaluation") for p in load(tmp_path / "dataset" / f"{name}.jsonl") if p.source == "teacher"]
    assert len(pairs) == report.sources["teacher"] == len(teacher.requests) == 24
    for pair in pairs:
        assert pair.kind == "explained"
        assert f"`{pair.citations[0].symbol}`" in pair.question
        assert pair.answer.endswith(f"[trade/trade/{pair.about.partition('_')[2]}.py:{pair.citations[0].line_start}-"
                                    f"{pair.citations[0].line_end}]")  # fmt: skip
    again = built(settings, tmp_path / "again")
    assert len(teacher.requests) == 24
    assert again == report
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (tmp_path / "dataset" / "train.jsonl").read_bytes()


def test_a_secret_never_reaches_the_teacher(indexed, teacher, tmp_path):
    built(of_a_build(indexed, teacher), tmp_path / "dataset")
    asked = "\n".join(teacher.prompts)
    assert "save_ledger" in asked
    assert "hunter2" not in asked
    assert "[MASKED]" in asked


def test_every_reply_is_kept_with_its_prompt_model_and_price(teacher, tmp_path):
    ask(teacher, tmp_path, LESSONS[:1], model="wise", input_price=10.0, output_price=100.0)
    (reply,) = [event for event in events(tmp_path) if event["event"] == "answered"]
    assert (reply["model"], reply["messages"], reply["base_url"]) == ("wise", LESSONS[0].messages, teacher.url)
    assert reply["price"] == pytest.approx((100 * 10 + 20 * 100) / 1e6)
    assert read_reply(reply["text"])


def test_another_model_is_asked_anew_and_the_same_one_is_not(teacher, tmp_path):
    ask(teacher, tmp_path, model="one")
    ask(teacher, tmp_path, model="one")
    assert len(teacher.requests) == 20
    ask(teacher, tmp_path, model="two")
    assert len(teacher.requests) == 40


def test_json_is_asked_for_by_schema_until_the_endpoint_refuses_it(teacher, tmp_path):
    teacher.script = lambda number, body: Said(400, body=b"{}") if "response_format" in body else Said()
    asked = ask(teacher, tmp_path, concurrency=1)
    assert len(asked.replies) == 20
    assert ["response_format" in body for body in teacher.requests] == [True] + [False] * 20


def test_requests_are_spaced_from_the_first_on(teacher, tmp_path):
    ask(teacher, tmp_path, LESSONS[:11], requests_per_minute=600, concurrency=4)
    assert teacher.times[-1] - teacher.times[0] >= 10 * 0.09  # 0.1 but for the noise of a busy machine


def test_no_more_are_under_way_than_allowed(teacher, tmp_path):
    teacher.script = lambda number, body: Said(seconds=0.1)
    ask(teacher, tmp_path, concurrency=3)
    assert teacher.most_at_once == 3


def test_all_wait_as_long_as_the_teacher_asks_for(teacher, tmp_path):
    teacher.script = lambda number, body: Said(429, {"retry-after": "1"}, b"") if number == 5 else Said()
    asked = ask(teacher, tmp_path, concurrency=1)
    assert len(asked.replies) == 20
    assert len(teacher.requests) == 21
    assert 1.0 <= teacher.times[6] - teacher.times[5] < 2.0


def test_a_pause_holds_back_the_others_too(teacher, tmp_path):
    teacher.script = lambda number, body: Said(429, {"retry-after": "1"}, b"") if number == 5 else Said(seconds=0.05)
    ask(teacher, tmp_path, concurrency=4)
    during = [moment for moment in teacher.times if teacher.times[5] + 0.2 < moment < teacher.times[5] + 0.95]
    assert during == []


@pytest.mark.parametrize("value", ["120", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""])
def test_retry_after_is_seconds_or_a_date(value):
    assert retry_after(value) == {"120": 120.0, "Wed, 21 Oct 2015 07:28:00 GMT": 0.0}.get(value)


@pytest.mark.parametrize(
    "said",
    [
        Said(500, body=b"oops"),
        Said(503, body=b""),
        Said(body=b"<html>rubbish</html>"),
        Said(body=b'{"choices": []}'),
        Said(seconds=1.2),
        Said(drips=True),
    ],
)
def test_what_fails_or_hangs_once_is_tried_again(teacher, tmp_path, said):
    teacher.script = lambda number, body: said if number < 4 else Said()
    started = time.monotonic()
    asked = ask(teacher, tmp_path, timeout_seconds=0.6)
    assert len(asked.replies) == 20
    assert len(teacher.requests) == 24
    assert time.monotonic() - started < 6


def test_one_that_never_answers_is_given_up_and_the_others_are_not(teacher, tmp_path):
    teacher.script = lambda number, body: Said(500, body=b"") if "load_7\n" in body["messages"][1]["content"] else Said()
    asked = ask(teacher, tmp_path, tries=3)
    assert (len(asked.replies), asked.given_up) == (19, 1)
    assert len(teacher.requests) == 19 + 3
    teacher.script = lambda number, body: Said()
    assert len(ask(teacher, tmp_path).replies) == 20
    assert len(teacher.requests) == 23


def test_a_teacher_that_is_away_is_an_error_and_keeps_what_it_said(teacher, tmp_path):
    teacher.script = lambda number, body: Said(503, body=b"") if number >= 8 else Said()
    with pytest.raises(UnavailableError, match="away"):
        ask(teacher, tmp_path, tries=2)
    assert len(teacher.requests) < 40
    teacher.script = lambda number, body: Said()
    sent = len(teacher.requests)
    assert len(ask(teacher, tmp_path).replies) == 20
    assert len(teacher.requests) == sent + 12


def test_a_wrong_key_is_one_error_that_names_the_variable_and_loses_nothing(teacher, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_API_KEY", "mended")
    teacher.script = lambda number, body: Said(401, body=b"", seconds=0.1)
    with pytest.raises(OperationError, match="TEACHER_API_KEY"):
        ask(teacher, tmp_path)
    assert len(teacher.requests) <= 4
    assert teacher.headers[0]["Authorization"] == "Bearer mended"
    teacher.script = lambda number, body: Said()
    assert len(ask(teacher, tmp_path).replies) == 20


def test_what_the_endpoint_refuses_for_good_is_not_sent_again(teacher, tmp_path):
    teacher.script = lambda number, body: Said(413, body=b"") if "load_7\n" in body["messages"][1]["content"] else Said()
    assert len(ask(teacher, tmp_path).replies) == 19
    assert len(ask(teacher, tmp_path).replies) == 19
    assert len(teacher.requests) == 20


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ('{"question": "What is it?", "answer": "It is a thing. [1]"}', True),
        ('```json\n{"question": "What is it?", "answer": "It is a thing. [1]"}\n```', True),
        ('Sure! {"question": "What is it?", "answer": "It is a thing. [1]"}', False),
        ('{"question": "What is it?", "answer": "It is a thing. [1]", "why": "so"}', False),
        ('{"question": "What is it?", "answer": ["It is a thing."]}', False),
        ('{"question": "What is it?"}', False),
        ('{"question": "", "answer": "It is a thing. [1]"}', False),
        ("[]", False),
        ("", False),
    ],
)
def test_a_reply_is_read_strictly(text, accepted):
    assert (read_reply(text) is not None) == accepted


def test_rubbish_and_wrong_citations_are_counted_paid_and_not_asked_again(indexed, teacher, tmp_path):
    replies = {
        "load_order": "I would rather not.",
        "load_stock": '{"question": "What does load_stock do?", "answer": "It reads the stock. [1] [2]"}',
        "save_stock": '{"question": "What does save_stock do?", "answer": "It appends, citing nothing."}',
        "load_label": '{"question": "Does load_label read?", "answer": "It does. [trade/trade/order.py:1-4]"}',
    }

    def script(number: int, body: dict[str, object]) -> Said:
        prompt = body["messages"][1]["content"]
        return Said(text=next((text for name, text in replies.items() if f" {name}\n" in prompt), None))

    teacher.script = script
    settings = of_a_build(indexed, teacher)
    report = built(settings, tmp_path / "dataset")
    assert report.left_out["not the JSON asked for"] == 1
    assert report.left_out["citation does not hold"] == 3
    assert report.sources["teacher"] == 20
    built(settings, tmp_path / "dataset")
    assert len(teacher.requests) == 24


def test_the_cost_cap_stops_before_it_is_exceeded_and_says_so(teacher, tmp_path):
    # 20 tokens of reply at 1,000 a million cost 0.02, at most 0.05; so that several could be bought but not all twenty.
    prices = {"output_price": 1000.0, "answer_tokens": 50, "cost_cap": 0.2, "concurrency": 4}
    asked = ask(teacher, tmp_path, **prices)
    billed = len(teacher.requests) * 0.02
    assert 0.14 <= billed <= 0.2
    assert "cost_cap" in asked.stopped
    sent = len(teacher.requests)
    assert "cost_cap" in ask(teacher, tmp_path, **prices).stopped
    assert len(teacher.requests) == sent
    assert ask(teacher, tmp_path, **{**prices, "cost_cap": 1.0}).stopped == ""
    assert len(teacher.requests) == 20


def test_a_try_that_ran_out_of_time_counts_at_its_highest_price(teacher, tmp_path):
    teacher.script = lambda number, body: Said(seconds=0.5)
    asked = ask(teacher, tmp_path, output_price=1000.0, answer_tokens=50, cost_cap=0.2, timeout_seconds=0.2, concurrency=1)
    assert len(teacher.requests) == 4  # four times 0.05, each perhaps billed
    assert "cost_cap" in asked.stopped


def test_a_build_says_that_the_cap_was_reached(indexed, teacher, tmp_path):
    settings = of_a_build(indexed, teacher, output_price=1000.0, answer_tokens=50, cost_cap=0.2)
    report = built(settings, tmp_path / "dataset")
    assert report.sources["teacher"] == len(teacher.requests) < 24
    assert report.teacher_cost == pytest.approx(0.02 * len(teacher.requests))
    assert "cost_cap" in " ".join(report.notices)


def test_a_build_killed_half_way_resumes_and_asks_nothing_twice(indexed, teacher, tmp_path):
    settings = of_a_build(indexed, teacher)
    environment = {**for_child_process(settings, tmp_path / "child"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cia.dataset", "--out", str(tmp_path / "dataset"), "trade"]
    reached = threading.Event()

    def hold_from_the_tenth(number: int, body: dict[str, object]) -> Said:
        if number >= 9:
            reached.set()
            return Said(seconds=30)
        return Said()

    teacher.script = hold_from_the_tenth
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    assert reached.wait(60)
    time.sleep(0.3)  # the other three are under way too
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "dataset").exists()
    before = len(teacher.requests)
    with (settings.home / "dataset" / "teacher.jsonl").open("ab") as journal:
        journal.write(b'{"event": "answ')  # and the kill came while a line was written
    teacher.script = lambda number, body: Said()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert max(Counter(teacher.prompts).values()) == 1
    assert events(settings.home / "dataset")  # every line is whole again
    assert len(teacher.requests) == 24
    assert report["sources"]["teacher"] == 24 - (before - 9)  # those that were under way are not sent again
    assert f"{before - 9} requests to the teacher were under way" in " ".join(report["notices"])


def test_two_processes_do_not_ask_at_once(indexed, teacher, tmp_path):
    settings = of_a_build(indexed, teacher)
    with exclusive(settings.home / "dataset" / "teacher.jsonl.lock", "asking"), pytest.raises(BusyError):
        built(settings, tmp_path / "dataset")
    assert teacher.requests == []


def test_a_damaged_journal_is_named_and_left_as_it_is(teacher, tmp_path):
    (tmp_path / "teacher.jsonl").write_text("what?\n")
    with pytest.raises(OperationError, match="line 1"):
        ask(teacher, tmp_path)
    assert (tmp_path / "teacher.jsonl").read_text() == "what?\n"


def test_an_endpoint_that_tells_no_tokens_is_taken_at_its_highest_price(teacher, tmp_path):
    said = json.loads(completion('{"question": "What is it?", "answer": "It is. [1]"}'))
    del said["usage"]
    teacher.script = lambda number, body: Said(body=json.dumps(said).encode())
    asked = ask(teacher, tmp_path, LESSONS[:1], output_price=1000.0, answer_tokens=50)
    assert [reply.price for reply in asked.replies.values()] == [pytest.approx(0.05)]
