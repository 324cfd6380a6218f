"""``cia demo``: the whole assistant on this machine, from two code bases to answers over HTTP."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from typing import Any

import typer

from cia.errors import OperationError
from cia.settings import Settings, load_settings
from cli.progress_line import progress_line
from cli.running_server import RunningServer, key_of_user, running_server

QUESTIONS = (
    "Where are query parameters added to a URL in httpx?",
    "How does httpx follow redirects?",
    "How does click prompt the user for a missing option?",
)
DEMO_USER = "demo"
ADAPTER_SECONDS = 60.0
"""For vLLM to fetch the adapter; after that the answers say for themselves what is wrong."""


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
    print("\n3. Serving")
    with running_server(_with_free_port(settings), "--with-vllm") as server:
        api_key = key_of_user(settings, DEMO_USER)
        print(f"   assistant {server.address}, vLLM behind it\n   {_wait_until_it_answers(server, api_key, settings)}")
        print("\n4. Three questions over HTTP")
        for question in QUESTIONS:
            _ask(server.address, api_key, question)
        if server.admin_key is not None:
            print(f'\nThe administrator is called "admin"; the API key, shown this once: {server.admin_key}')
        page = f"{server.address}/#key={api_key}"
        print(f"\nThe web page, signed in: {page}   (all of this took {time.monotonic() - started:.0f} s)")
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


def _with_free_port(settings: Settings) -> Settings:
    """The same settings for a vLLM of the demo's own, whatever else runs here."""
    serving = settings.serving.model_copy(update={"port": 0})
    model = settings.model.model_copy(update={"base_url": None})
    return settings.model_copy(update={"serving": serving, "model": model})


def _wait_until_it_answers(server: RunningServer, api_key: str, settings: Settings) -> str:
    """Return that vLLM is ready, in its own words, once it has fetched what is in Production or cannot."""
    import httpx

    from cia.registry import Registry

    with progress_line("   vLLM") as progress:
        ready = server.wait_for_vllm(settings.serving.start_timeout_seconds, progress)
        production = Registry(settings).production()
        deadline = time.monotonic() + ADAPTER_SECONDS
        while production is not None and time.monotonic() < deadline:
            reply = httpx.get(f"{server.address}/model/info", headers={"Authorization": f"Bearer {api_key}"}, timeout=30.0)
            info: dict[str, Any] = reply.raise_for_status().json()
            if info["model"] == production.served_name:
                break
            progress(f"{production.served_name}: {info['detail']}", 0, 0)
            time.sleep(0.5)
    return ready


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
