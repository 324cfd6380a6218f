"""Questions about the indexed code, each asked of another place, and the requests that a server sends to its model for them."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.server.running import changed
from cia.answering import Assistant
from cia.chunking import chunk_file
from cia.corpus import Corpus
from cia.errors import OperationError
from cia.retrieval import Retriever
from cia.settings import Settings

SHORTEST_WORDS, LONGEST_CHARACTERS = 4, 200


def docstring_questions(settings: Settings, seed: int = 7) -> list[str]:
    """Return the first sentence of every docstring that is indexed, each once, in an order without order."""
    sentences: dict[str, None] = {}
    corpus = Corpus(settings)
    for snapshot in corpus.snapshots():
        for file in snapshot.files:
            for chunk in chunk_file(file.path, snapshot.read_bytes(file.path), settings.chunking):
                sentence = " ".join(chunk.docstring.split()).partition(". ")[0][:LONGEST_CHARACTERS]
                if len(sentence.split()) >= SHORTEST_WORDS:
                    sentences[sentence] = None
    questions = list(sentences)
    random.Random(seed).shuffle(questions)
    return questions


def requests_to_model(settings: Settings, questions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return, for each question that is put to a model at all, the very body that the server would send to it.

    The assistant of the server is asked here, over a model that notes what it is sent and answers nothing.
    """
    noted: list[dict[str, Any]] = []

    class Note(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            noted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_error(500)

        def log_message(self, *_: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Note)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    retriever = Retriever(settings)
    try:
        asked = changed(settings, "model", base_url=f"http://127.0.0.1:{listener.server_address[1]}/v1")
        assistant = Assistant(changed(asked, "answering", use_base_model=True), retriever)
        bodies = {}
        for question in questions:
            noted.clear()
            assistant.ask(question)
            if noted:
                bodies[question] = noted[0]
    finally:
        listener.shutdown()
        listener.server_close()
        retriever.close()
    if not bodies:
        raise OperationError("no question reached the model")
    return bodies
