"""What a model's server can do wrong, as scripts for ``scripted_model``."""

from __future__ import annotations

import json
import time

from tests.rag_server.scripted_model import Script, Wire

SENTENCE = "A wick is trimmed by Wick.trim [1]. "
TIME_LIMIT = 0.6
"""Seconds that the server under test gives its model."""


def refused(status: int) -> Script:
    def script(wire: Wire) -> None:
        wire.begin(status, "application/json", Retry_After="60")
        wire.write(json.dumps({"error": {"message": "no", "type": "server_error"}}).encode())

    return script


def hangs(_: Wire) -> None:
    time.sleep(4 * TIME_LIMIT)


def hangs_in_mid_sentence(wire: Wire) -> None:
    wire.begin()
    wire.piece(SENTENCE)
    time.sleep(4 * TIME_LIMIT)


def is_cut_off(wire: Wire) -> None:
    wire.begin()
    wire.piece(SENTENCE)
    wire.piece("It also")
    wire.cut()


def ends_without_an_end(wire: Wire) -> None:
    wire.begin(200, "text/event-stream", Content_Length="100000")
    wire.piece("A wick is tr")


def says_nothing(wire: Wire) -> None:
    wire.begin()
    wire.end()


def has_no_body(wire: Wire) -> None:
    wire.begin(200, "text/event-stream", Content_Length="0")


def never_ends(wire: Wire) -> None:
    wire.begin()
    for number in range(300):  # for ten times as long as it may
        wire.piece(f"{SENTENCE}That was sentence {number}. ")
        time.sleep(0.02)


def is_slow(wire: Wire) -> None:
    wire.begin()
    for word in SENTENCE.split() * 3:
        wire.piece(f"{word} ")
        time.sleep(0.4)


def is_another_server(wire: Wire) -> None:
    wire.begin(200, "text/html")
    wire.write(b"<html><body>It works!</body></html>")


def answers_whole_instead_of_streaming(wire: Wire) -> None:
    wire.begin(200, "application/json")
    wire.write(json.dumps({"choices": [{"message": {"role": "assistant", "content": SENTENCE}}]}).encode())


def is_no_utf8(wire: Wire) -> None:
    wire.begin()
    wire.piece(SENTENCE)
    wire.write(b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe\xc3("}}]}\n\n')
    wire.end()


def is_no_json(wire: Wire) -> None:
    wire.begin()
    wire.write(b"data: {\n\ndata: null\n\ndata: [1, 2]\n\n")


def has_other_fields(wire: Wire) -> None:
    wire.begin()
    for document in ({"choices": None}, {"choices": [{}]}, {"choices": [{"delta": {"content": 7}}]}, {}):
        wire.write(f"data: {json.dumps(document)}\n\n".encode())
    wire.end()


def fails_in_the_stream(wire: Wire) -> None:
    wire.begin()
    wire.piece(SENTENCE)
    wire.write(b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n')


FAULTS: dict[str, Script] = {
    "500": refused(500),
    "429": refused(429),
    "404": refused(404),
    "redirects": refused(302),
    **{
        script.__name__: script
        for script in (
            hangs, hangs_in_mid_sentence, is_cut_off, ends_without_an_end, says_nothing, has_no_body, never_ends, is_slow,
            is_another_server, answers_whole_instead_of_streaming, is_no_utf8, is_no_json, has_other_fields, fails_in_the_stream,
        )
    },
}  # fmt: skip
