"""An assistant that is ready to use, put together from the settings alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from cia.answering.assistant import Assistant
from cia.errors import CiaError
from cia.retrieval import Retriever
from cia.settings import Settings


@contextlib.contextmanager
def open_assistant(settings: Settings) -> Iterator[Assistant]:
    """Yield an Assistant over what is indexed, which asks for the adapter in Production; close its index at the end."""
    retriever = Retriever(settings)
    try:
        yield Assistant(settings, retriever, model_name=adapter_in_production(settings))
    finally:
        retriever.close()


def adapter_in_production(settings: Settings) -> Callable[[str], str | None]:
    """Return a function that names the adapter in Production, as vLLM serves it, or None: also when the registry is away.

    It does so for every user: without a server that counts, there is no trial.
    """

    def name(_: str) -> str | None:
        from cia.registry import Registry

        try:
            adapter = Registry(settings).production()
        except CiaError:
            return None
        return adapter.served_name if adapter else None

    return name
