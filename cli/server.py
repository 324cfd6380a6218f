"""``cia serve``: the HTTP server and the web page, with the model behind it when asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from cia.errors import InputError
from cia.settings import Settings, load_settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.", min=1, max=64)] = None,
    with_vllm: Annotated[bool, typer.Option("--with-vllm", help="Run vLLM too, here, as it runs in the cluster.")] = False,
) -> None:
    """Serve answers over HTTP, with a web page, until Ctrl-C."""
    from rag_server.serve import run

    settings = load_settings()
    if workers is not None:
        settings = settings.model_copy(update={"rag": settings.rag.model_copy(update={"workers": workers})})
    with contextlib.ExitStack() as running:
        if with_vllm:
            settings = running.enter_context(_vllm(settings))
        run(settings, host=host, port=port)


@contextlib.contextmanager
def _vllm(settings: Settings) -> Iterator[Settings]:
    """Run vLLM during the block; yield ``settings`` with the server pointed at it. Nobody waits for it to be ready."""
    from inference_services.served_model import model_to_serve
    from inference_services.vllm_process import VllmProcess
    from runtimes.base_model import resolve_base

    if settings.model.base_url is not None:
        raise InputError(f"model.base_url names a model server already ({settings.model.base_url}); unset it for --with-vllm")
    vllm = VllmProcess(
        settings, model_to_serve(settings, lambda: resolve_base(settings, settings.training.base_model)), tell=_say
    )
    try:
        vllm.launch()
        _say("vLLM is starting; until it is ready, answers are quoted from the code")
        yield settings.model_copy(update={"model": settings.model.model_copy(update={"base_url": vllm.base_url})})
    finally:
        vllm.stop()


def _say(sentence: str) -> None:
    print(sentence, flush=True)
