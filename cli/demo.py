"""``cia demo``: the whole assistant on this machine, from two code bases to answers over HTTP."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable
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
"""For vLLM to fetch the adapter."""


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
    print(f"\n3. The same data, every question with a wrong answer\n   {_sabotage(settings)}")
    print("\n4. Serving")
    with running_server(_with_free_port(settings), "--with-vllm") as server:
        api_key = key_of_user(settings, DEMO_USER)
        print(f"   assistant {server.address}, vLLM behind it\n   {_wait_until_it_answers(server, api_key, settings)}")
        print("\n5. Three questions over HTTP")
        for question in QUESTIONS:
            _ask(server.address, api_key, question)
        _force_and_roll_back(server, api_key, settings)
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


def _sabotage(settings: Settings) -> str:
    """Have the gate look at an adapter trained on wrong answers; return what became of it."""
    from cia.registry import Registry
    from cli.sabotage import register_sabotaged

    production = Registry(settings).production()
    if production is None:
        return "Left out: nothing is in Production that it could replace."
    with progress_line("   sabotaged") as progress:
        return register_sabotaged(settings, production, progress)


def _force_and_roll_back(server: RunningServer, api_key: str, settings: Settings) -> None:
    """Put the refused version into Production by force while users are served, and take that back."""
    from cia.registry import Registry

    registry = Registry(settings)
    production = registry.production()
    refused = next((version for version in registry.list() if version.gate != "passed"), None)
    if production is None or refused is None:
        return
    print("\n6. Somebody forces the refused version into Production, and the command that takes it back")
    from cli.main import run

    number = str(refused.version)
    for command, answering in (
        (["models", "promote", number], production.served_name),
        (["models", "promote", number, "--force", "--reason", "to show what a rollback does"], refused.served_name),
        (["models", "rollback"], production.served_name),
    ):
        print(f"   $ cia {shlex.join(command)}")
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
            run(command)
        began = time.monotonic()
        _wait_for_adapter(server, api_key, answering)
        print(f"     {said.getvalue().strip()}\n     {answering} answers, {time.monotonic() - began:.1f} s later")


def _with_free_port(settings: Settings) -> Settings:
    """The same settings for a vLLM of the demo's own, whatever else runs here."""
    serving = settings.serving.model_copy(update={"port": 0})
    model = settings.model.model_copy(update={"base_url": None})
    return settings.model_copy(update={"serving": serving, "model": model})


def _wait_until_it_answers(server: RunningServer, api_key: str, settings: Settings) -> str:
    """Return that vLLM is ready, in its own words, once it has fetched what is in Production or cannot."""
    from cia.registry import Registry

    with progress_line("   vLLM") as progress:
        ready = server.wait_for_vllm(settings.serving.start_timeout_seconds, progress)
        production = Registry(settings).production()
        if production is not None:
            name = production.served_name
            _wait_for_adapter(server, api_key, name, lambda detail: progress(f"{name}: {detail}", 0, 0))
    return ready


def _wait_for_adapter(server: RunningServer, api_key: str, name: str, tell: Callable[[str], None] | None = None) -> None:
    """Return when ``name`` answers, or after ADAPTER_SECONDS: then the answers say for themselves what is wrong."""
    import httpx

    deadline = time.monotonic() + ADAPTER_SECONDS
    while time.monotonic() < deadline:
        reply = httpx.get(f"{server.address}/model/info", headers={"Authorization": f"Bearer {api_key}"}, timeout=30.0)
        info: dict[str, Any] = reply.raise_for_status().json()
        if info["model"] == name:
            return
        if tell is not None:
            tell(info["detail"])
        time.sleep(0.2)


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
