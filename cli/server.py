"""``cia serve``: the HTTP server and the web page."""

from __future__ import annotations

from typing import Annotated

import typer

from cia.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.", min=1, max=64)] = None,
) -> None:
    """Serve answers over HTTP, with a web page, until Ctrl-C."""
    from rag_server.serve import run

    settings = load_settings()
    if workers is not None:
        settings = settings.model_copy(update={"rag": settings.rag.model_copy(update={"workers": workers})})
    run(settings, host=host, port=port)
