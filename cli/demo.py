"""``cia demo``: the whole assistant on this machine, from two code bases to answers over HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cia.errors import OperationError
from cia.leash import Leashed
from cia.settings import Settings, for_child_process, load_settings
from cli.progress_line import progress_line

QUESTIONS = (
    "Where are query parameters added to a URL in httpx?",
    "How does httpx follow redirects?",
    "How does click prompt the user for a missing option?",
)
DEMO_USER = "demo"
ADDRESS = re.compile(rb"http://\S+")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Index two code bases, run the whole pipeline, serve the result, ask three questions over HTTP."""
    settings = load_settings()
    started = time.monotonic()
    print(f"1. The pipeline on {' and '.join(settings.corpus.sources)}, through kfp.local")
    registered = _run_pipeline(settings)
    print(f"\n2. The gate\n   {registered}\n   {_who_answers(settings)}")
    with contextlib.ExitStack() as running:
        print("\n3. Serving")
        vllm_url = running.enter_context(_vllm(settings))
        address = running.enter_context(_rag_server(settings, vllm_url))
        api_key = _key_of_demo_user(settings)
        print(f"   vLLM {vllm_url}\n   assistant {address}")
        print("\n4. Three questions over HTTP")
        for question in QUESTIONS:
            _ask(address, api_key, question)
        print(f"\nThe web page, signed in: {address}/#key={api_key}   (all of this took {time.monotonic() - started:.0f} s)")
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("Serving until Ctrl-C.")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            print("\nstopping")


def _run_pipeline(settings: Settings) -> str:
    """Run it, and return what became of this run's candidate, which a reused run may have registered long ago."""
    from cli.run_display import run_display
    from pipelines import run_locally

    with run_display() as display:
        result = run_locally(settings, observe=display)
    print(f"   {len(result.steps)} steps in {result.seconds:.0f} s; all output is in {result.log}")
    return result.steps["register_model"]


def _who_answers(settings: Settings) -> str:
    from cia.registry import Registry

    production = Registry(settings).production()
    if production is None:
        return "Nothing is in Production: the answers below are extractive, quoted from the code, written by no model."
    return f"{production.served_name} answers below; where it cannot, the answer is extractive and the reason stands beside it."


@contextlib.contextmanager
def _vllm(settings: Settings) -> Iterator[str]:
    """Serve the base model and the adapter in Production with vLLM; yield the OpenAI-compatible address."""
    from cia.registry import Registry
    from inference_services.vllm_process import VllmProcess

    registry = Registry(settings)
    production = registry.production()
    served = production or registry.list()[0]
    adapters = {production.served_name: registry.fetch(production.version)} if production else {}
    with (
        progress_line("   vLLM") as progress,
        VllmProcess(settings, Path(served.base_model), adapters=adapters, port=0, progress=progress) as vllm,
    ):
        yield vllm.base_url


@contextlib.contextmanager
def _rag_server(settings: Settings, vllm_url: str) -> Iterator[str]:
    """Run ``cia serve`` with this model on a free port; yield its address once it is ready."""
    model = settings.model.model_copy(update={"base_url": vllm_url})
    environment = for_child_process(settings.model_copy(update={"model": model}), settings.home / "demo")
    log = settings.home / "logs" / "rag_server.log"
    with log.open("wb") as errors:
        server = Leashed(
            [sys.executable, "-m", "cli.main", "serve", "--port", "0"],
            environment=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert server.process.stdout
        for line in server.process.stdout:
            if found := ADDRESS.search(line):
                threading.Thread(target=server.process.stdout.read, daemon=True).start()
                yield found.group().decode().rstrip("/")
                return
        raise OperationError(f"the server ended before it was ready; see {log}")
    finally:
        server.stop()


def _key_of_demo_user(settings: Settings) -> str:
    """Return a new API key of the user called demo, who may read every repository."""
    from rag_server.access.api_keys import new_key
    from rag_server.access.users import EVERY_REPOSITORY, Users
    from rag_server.database import Database

    api_key, stored = new_key()
    with contextlib.closing(Database(settings)) as database:
        users = Users(database)
        known = users.find(DEMO_USER)
        if known is None or known.revoked is not None:
            users.add(DEMO_USER, [EVERY_REPOSITORY], key=stored)
        else:
            users.replace_key(DEMO_USER, stored)
    return api_key


def _ask(address: str, api_key: str, question: str) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {api_key}"}
    reply = httpx.post(f"{address}/v1/ask", json={"question": question}, headers=headers, timeout=120.0)
    if reply.is_error:
        raise OperationError(f"{address}/v1/ask answered {reply.status_code}: {reply.text[:300]}")
    answer: dict[str, Any] = json.loads(reply.text)
    answered_by = answer["model"] if answer["mode"] == "llm" else "extractive"
    if answer["fallback_reason"]:
        answered_by += f": {answer['fallback_reason']}"
    print(f"\n   ? {question}\n     [{answered_by}]")
    for line in answer["answer"].splitlines():
        print(f"     {line}")
    for citation in answer["citations"]:
        place = f"{citation['repo']}/{citation['file_path']}:{citation['line_start']}-{citation['line_end']}"
        print(f"     -> {place}  {citation['symbol']}")
